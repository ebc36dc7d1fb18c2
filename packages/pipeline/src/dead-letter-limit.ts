import { TracehoundError } from '@tracehound/event-model';

export type DeadLetterLimitOptions = {
  /** Dead letters within the window below which nothing is refused, 1 or more. */
  readonly lettersMin: number;
  /** Share of records that may be dead letters, above 0 up to 1; 1 refuses nothing. */
  readonly shareMax: number;
  /** Records looked back at, 2 or more. */
  readonly windowRecords: number;
  readonly onRefused?: () => void;
};

/**
 * Too much of a partition cannot be read: rather a wrong registry or a wrong producer than poison. The partition waits with
 * what it has, and nothing is lost; retriable, because a registry may come back, and the same records come again.
 */
export class DeadLetterLimitError extends TracehoundError {
  constructor(fields: { readonly deadLetters: number; readonly records: number; readonly raise: string }) {
    super(
      `${fields.deadLetters} of ${fields.records} records would be dead letters: repair what cannot be read, or let them go by raising ${fields.raise}`,
      { code: 'SEC_PIPELINE_DEAD_LETTER_LIMIT', category: 'invalid_input', retriable: true, fields },
    );
  }
}

type Counts = { records: number; dead: number };

/**
 * Halts one partition before its records go to the dead letters by the thousand. Counts records, not time, so the verdict on a
 * log does not depend on how fast it is read; a batch that is refused is not counted, since it comes again.
 */
export class DeadLetterLimit {
  private readonly options: DeadLetterLimitOptions;
  private readonly raise: string;
  /** Two halves of the window: the older one leaves whole. */
  private older: Counts = { records: 0, dead: 0 };
  private newer: Counts = { records: 0, dead: 0 };

  /** `raise`: the setting that lets records go, for the error. */
  constructor(options: DeadLetterLimitOptions, raise: string) {
    this.options = options;
    this.raise = raise;
  }

  /** Call it before a batch has any effect. @throws DeadLetterLimitError */
  admit(records: number, dead: number): void {
    const { lettersMin, shareMax, windowRecords, onRefused } = this.options;
    const all = this.older.records + this.newer.records + records;
    const deadLetters = this.older.dead + this.newer.dead + dead;
    if (dead > 0 && deadLetters >= lettersMin && deadLetters > shareMax * all) {
      onRefused?.();
      throw new DeadLetterLimitError({ deadLetters, records: all, raise: this.raise });
    }
    this.newer.records += records;
    this.newer.dead += dead;
    if (this.newer.records < windowRecords / 2) return;
    this.older = this.newer;
    this.newer = { records: 0, dead: 0 };
  }
}
