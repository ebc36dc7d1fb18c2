/**
 * What keeps single partitions from going on, in words, for readiness. One entry per partition and stage; an entry
 * without a problem says that the partition is held and moves.
 */
export class Problems {
  private readonly entries = new Map<string, string | null>();
  private readonly onChange: (key: string, problem: string | null) => void;

  constructor(onChange: (key: string, problem: string | null) => void) {
    this.onChange = onChange;
  }

  set(key: string, problem: string | null): void {
    const before = this.entries.get(key);
    this.entries.set(key, problem);
    if (before !== problem && !(before === undefined && problem === null)) this.onChange(key, problem);
  }

  delete(key: string): void {
    this.entries.delete(key);
  }

  /** The text of a passing check; throws the first problem. */
  summary(): string {
    for (const [key, problem] of this.entries) if (problem !== null) throw new Error(`${key}: ${problem}`);
    return `${this.entries.size} partitions held`;
  }
}
