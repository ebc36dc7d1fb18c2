import { invariant, ok, type Verdict } from '@tracehound/event-model';

/**
 * One stop of a pipeline. Its *name* is the span, the `stage` label of the metrics and the line in a stack
 * trace, so a stage is always a named function: `createDecodeStage(deps)` returns `function decode(record) {…}`.
 */
export type Stage<In, Out> = (item: In) => Verdict<Out> | Promise<Verdict<Out>>;

/** A stop that works on all items still on their way at once (one produce, one COPY). One verdict per item, same order. */
export type BatchStage<In, Out> = (items: readonly In[]) => Promise<readonly Verdict<Out>[]>;

/** What became of one item: the verdict of the stage that decided it. `item` is what entered the pipeline. */
export type Outcome<In, Out> = {
  readonly item: In;
  readonly stage: string;
  readonly verdict: Verdict<Out>;
};

type AnyStage = {
  readonly name: string;
  readonly run: (items: readonly unknown[]) => Promise<readonly Verdict<unknown>[]>;
};

/**
 * An ordered list of stages. Immutable: `each` and `batch` return a longer pipeline. Order of items is kept;
 * an exception in a stage is a bug or an adapter failure and rejects `run`, so nothing is acknowledged.
 */
export class Pipeline<In, Out> {
  readonly name: string;
  private readonly stages: readonly AnyStage[];

  private constructor(name: string, stages: readonly AnyStage[]) {
    this.name = name;
    this.stages = stages;
  }

  static from<T>(name: string): Pipeline<T, T> {
    return new Pipeline<T, T>(name, []);
  }

  /** Adds a stage that sees one item at a time. Items run in order; a promise is awaited before the next item. */
  each<Next>(stage: Stage<Out, Next>): Pipeline<In, Next> {
    const run = async (items: readonly unknown[]): Promise<readonly Verdict<unknown>[]> => {
      const verdicts: Verdict<unknown>[] = new Array(items.length);
      for (let i = 0; i < items.length; i++) {
        const verdict = stage(items[i] as Out);
        verdicts[i] = verdict instanceof Promise ? await verdict : verdict;
      }
      return verdicts;
    };
    return this.with<Next>(stage.name, run);
  }

  /** Adds a stage that sees all surviving items at once. It is not called when none survived. */
  batch<Next>(stage: BatchStage<Out, Next>): Pipeline<In, Next> {
    return this.with<Next>(stage.name, (items) => stage(items as readonly Out[]));
  }

  /** The names of the stops, in order: the whole way of an event on one line. */
  get stops(): readonly string[] {
    return this.stages.map((stage) => stage.name);
  }

  /** Runs all items through; returns exactly one outcome per item, in the order of the items. */
  async run(items: readonly In[]): Promise<readonly Outcome<In, Out>[]> {
    const outcomes: Outcome<In, Out>[] = new Array(items.length);
    // What is still on its way, and where each of it stands among the items: two lists, not an object per item and stage.
    let values: readonly unknown[] = items;
    let places: readonly number[] = items.map((_, index) => index);
    let last = 'consume';
    for (const stage of this.stages) {
      last = stage.name;
      if (values.length === 0) break;
      const verdicts = await stage.run(values);
      invariant(verdicts.length === values.length, 'a stage must return one verdict per item', {
        stage: stage.name,
        items: values.length,
        verdicts: verdicts.length,
      });
      const passed: unknown[] = [];
      const passedPlaces: number[] = [];
      for (let i = 0; i < places.length; i++) {
        const place = places[i] as number;
        const verdict = verdicts[i] as Verdict<unknown>;
        if (verdict.kind === 'ok') {
          passed.push(verdict.value);
          passedPlaces.push(place);
        } else outcomes[place] = { item: items[place] as In, stage: stage.name, verdict };
      }
      values = passed;
      places = passedPlaces;
    }
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as number;
      outcomes[place] = { item: items[place] as In, stage: last, verdict: ok(values[i] as Out) };
    }
    return outcomes;
  }

  private with<Next>(name: string, run: AnyStage['run']): Pipeline<In, Next> {
    invariant(name !== '', 'a stage must be a named function');
    return new Pipeline<In, Next>(this.name, [...this.stages, { name, run }]);
  }
}
