import { networkOf } from '../matcher.ts';
import type { PointerSink } from './candidates.ts';
import { ipv4Of, isInNetwork, type Network, parseAddress, parseIpv4 } from './ip-address.ts';

type NetworkEntry = { readonly network: string; readonly pointer: number };

/** IPv4 networks by length and prefix; the few others one by one. */
export class NetworkIndex {
  private readonly byLength: readonly {
    readonly hostSize: number;
    readonly prefixes: ReadonlyMap<number, Int32Array>;
  }[];
  private readonly others: readonly { readonly network: Network; readonly pointers: Int32Array }[];

  constructor(entries: readonly NetworkEntry[]) {
    const byLength = new Map<number, Map<number, Int32Array>>();
    const others: { readonly network: Network; readonly pointers: Int32Array }[] = [];
    for (const { network: text, pointer } of entries) {
      const network = networkOf(text);
      const ipv4 = network.bits >= 96 ? ipv4Of(network.words) : -1;
      if (ipv4 < 0) {
        others.push({ network, pointers: Int32Array.of(pointer) });
        continue;
      }
      const hostSize = 2 ** (128 - network.bits);
      const prefixes = byLength.get(hostSize) ?? new Map<number, Int32Array>();
      byLength.set(hostSize, prefixes);
      const prefix = Math.floor(ipv4 / hostSize);
      prefixes.set(prefix, Int32Array.of(...(prefixes.get(prefix) ?? []), pointer));
    }
    this.byLength = [...byLength].map(([hostSize, prefixes]) => ({ hostSize, prefixes }));
    this.others = others;
  }

  find(text: string, sink: PointerSink): void {
    const dotted = parseIpv4(text);
    const address = dotted >= 0 && this.others.length === 0 ? undefined : parseAddress(text);
    const ipv4 = dotted >= 0 ? dotted : address ? ipv4Of(address) : -1;
    if (ipv4 >= 0) {
      for (let i = 0; i < this.byLength.length; i++) {
        const { hostSize, prefixes } = this.byLength[i] as (typeof this.byLength)[number];
        const pointers = prefixes.get(Math.floor(ipv4 / hostSize));
        if (pointers) sink.add(pointers);
      }
    }
    if (!address) return;
    for (const { network, pointers } of this.others) if (isInNetwork(address, network)) sink.add(pointers);
  }
}
