import { TracehoundError } from '@tracehound/event-model';

/** What is wrong with one key. `problem` and `allowed` never hold the value of a secret. */
export type ConfigProblem = { readonly key: string; readonly problem: string; readonly allowed: string };

/** Thrown by `load` with every bad key at once; a service ends with exit code 2. */
export class ConfigError extends TracehoundError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super('the configuration is invalid', {
      code: 'SEC_CONFIG_INVALID',
      category: 'invalid_input',
      retriable: false,
      fields: { keys: problems.map((entry) => entry.key).join(',') },
    });
    this.problems = problems;
  }

  /** One line per key, for a person at a terminal. */
  explain(): string {
    return this.problems.map((entry) => `${entry.key}: ${entry.problem} (allowed: ${entry.allowed})`).join('\n');
  }
}
