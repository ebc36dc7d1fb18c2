import type { Check } from '../check.ts';
import { CATALOGUE_CHECKS } from './catalogue.ts';
import { CONDITION_CHECKS } from './condition.ts';
import { CORRELATION_CHECKS } from './correlation.ts';
import { COST_CHECKS } from './cost.ts';
import { FILTER_CHECKS } from './filter.ts';
import { LOAD_CHECKS } from './load.ts';
import { LOGIC_CHECKS } from './logic.ts';
import { METADATA_CHECKS } from './metadata.ts';
import { REGEX_CHECKS } from './regex.ts';
import { SUPPRESSION_CHECKS } from './suppression.ts';
import { TAG_CHECKS } from './tag.ts';
import { VALUE_CHECKS } from './value.ts';

/** Every check there is, by area. Codes are stable: they are only ever added, or marked as retired. */
export const CHECKS: readonly Check[] = [
  ...LOAD_CHECKS,
  ...LOGIC_CHECKS,
  ...CONDITION_CHECKS,
  ...VALUE_CHECKS,
  ...REGEX_CHECKS,
  ...METADATA_CHECKS,
  ...TAG_CHECKS,
  ...CATALOGUE_CHECKS,
  ...CORRELATION_CHECKS,
  ...FILTER_CHECKS,
  ...COST_CHECKS,
  ...SUPPRESSION_CHECKS,
];
