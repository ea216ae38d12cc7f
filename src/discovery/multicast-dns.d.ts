/** The part of the package that is used here. */
declare module "multicast-dns" {
  import type { EventEmitter } from "node:events";

  export interface SrvData {
    readonly priority?: number;
    readonly weight?: number;
    readonly port: number;
    readonly target: string;
  }
  interface Head {
    readonly name: string;
    /** Seconds. */
    readonly ttl?: number;
    readonly class?: string;
    /** Caches forget what they had of this name and type. */
    readonly flush?: boolean;
  }
  export type DnsRecord =
    | (Head & { readonly type: "PTR"; readonly data: string })
    | (Head & { readonly type: "SRV"; readonly data: SrvData })
    | (Head & { readonly type: "TXT"; readonly data: readonly (string | Uint8Array)[] })
    | (Head & { readonly type: "A" | "AAAA"; readonly data: string });
  export interface DnsQuestion {
    readonly name: string;
    readonly type: string;
    readonly class?: string;
  }
  export interface DnsPacket {
    readonly id?: number;
    readonly type?: "query" | "response";
    readonly flags?: number;
    readonly questions?: readonly DnsQuestion[];
    readonly answers?: readonly DnsRecord[];
    readonly authorities?: readonly DnsRecord[];
    readonly additionals?: readonly DnsRecord[];
  }
  export interface MulticastDns extends EventEmitter {
    send(packet: DnsPacket, to: { address: string; port: number } | null, done: (error?: Error | null) => void): void;
    destroy(done: () => void): void;
    on(event: "packet", take: (packet: DnsPacket, from: { address: string; port: number }) => void): this;
    on(event: "error" | "warning", take: (error: Error) => void): this;
    on(event: "ready", take: () => void): this;
  }
  export default function multicastDns(options: Readonly<Record<string, unknown>>): MulticastDns;
}
