/** A command line that cannot be obeyed. Its message names the thing; `way` names the way out. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly way: string | undefined;

  constructor(message: string, way?: string) {
    super(message);
    this.way = way;
  }
}
