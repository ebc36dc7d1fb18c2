import { ACTIVATION_LIMITS, type ActivationLimits } from '@tracehound/correlation';
import { UsageError } from '../usage-error.ts';

/** What `rules apply --limit` calls the limits: `rule-groups` for `rule_groups_max`. */
const NAMES = Object.keys(ACTIVATION_LIMITS) as (keyof ActivationLimits)[];
/** As --help lists them. */
export const LIMIT_NAMES: readonly string[] = NAMES.map(shown);

function shown(name: keyof ActivationLimits): string {
  return name.replace(/_max$/, '').replaceAll('_', '-');
}

/** Reads `--limit rule-groups=200000 organization-bytes=134217728`; what is not named stays as it is. */
export function parseLimits(given: readonly string[]): Partial<ActivationLimits> {
  return Object.fromEntries(
    given.map((text) => {
      const [, name = '', digits = ''] = /^([a-z-]+)=(\d+)$/.exec(text) ?? [];
      const key = NAMES.find((known) => shown(known) === name);
      const value = Number(digits);
      if (key === undefined || !Number.isSafeInteger(value) || value < 1)
        throw new UsageError(`--limit ${text}: expected <name>=<number>, a name of ${LIMIT_NAMES.join(', ')}`);
      return [key, value];
    }),
  );
}

/** The limits of an activation alone. */
export function limitsOf(activation: ActivationLimits): ActivationLimits {
  return Object.fromEntries(NAMES.map((name) => [name, activation[name]])) as ActivationLimits;
}

export function sameLimits(a: ActivationLimits, b: ActivationLimits): boolean {
  return NAMES.every((name) => a[name] === b[name]);
}
