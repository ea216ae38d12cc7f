/** Where a daemon listens for control connections unless somebody says otherwise. */
export const DEFAULT_PORT = 9040;
