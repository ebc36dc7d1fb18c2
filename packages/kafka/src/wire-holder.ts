/** A wire together with the calls that still run on it. */
export type HeldWire<W> = { readonly wire: W; inFlight: number; dropped: boolean };

/**
 * Keeps one open wire and replaces it on demand. A dropped wire is closed as soon as the calls on it have ended, so
 * calls to healthy brokers are not cut off by the loss of one.
 */
export class WireHolder<W extends { close(): Promise<void> }> {
  private readonly open: () => Promise<W>;
  private held: Promise<HeldWire<W>> | null = null;
  private readonly closing = new Set<Promise<void>>();

  constructor(open: () => Promise<W>) {
    this.open = open;
  }

  /** The current wire; opened if there is none. A failed opening is forgotten, so the next call opens anew. */
  acquire(): Promise<HeldWire<W>> {
    if (this.held) return this.held;
    const opening = this.open().then((wire) => ({ wire, inFlight: 0, dropped: false }));
    this.held = opening;
    opening.catch(() => {
      if (this.held === opening) this.held = null;
    });
    return opening;
  }

  /** Runs one call on a held wire and keeps count. */
  async use<T>(held: HeldWire<W>, call: (wire: W) => Promise<T>): Promise<T> {
    held.inFlight++;
    try {
      return await call(held.wire);
    } finally {
      held.inFlight--;
      if (held.dropped && held.inFlight === 0) this.shut(held);
    }
  }

  /** The next `acquire` opens a new wire. True when this call dropped it. */
  drop(held: HeldWire<W>): boolean {
    if (held.dropped) return false;
    held.dropped = true;
    this.held = null;
    if (held.inFlight === 0) this.shut(held);
    return true;
  }

  async close(): Promise<void> {
    const held = await this.held?.catch(() => null);
    this.held = null;
    if (held && !held.dropped) {
      held.dropped = true;
      this.shut(held);
    }
    await Promise.all(this.closing);
  }

  private shut(held: HeldWire<W>): void {
    const closing = held.wire.close().catch(() => undefined);
    this.closing.add(closing);
    void closing.then(() => this.closing.delete(closing));
  }
}
