/**
 * What one rule, and one rule set, may cost. A rule that asks for more is refused with `limit_exceeded` before any of
 * the cost is paid. Public rules (SigmaHQ at 8eaafff1) stay far below every default.
 *
 * | limit | default | guards against |
 * |---|---|---|
 * | fileCharactersMax | 4,000,000 | files that take long to read; a whole public rule set is 5 MB in 3,000 files |
 * | fileItemsMax | 250,000 | lines, commas and brackets of a file: what the YAML parser's time goes by |
 * | depthMax | 40 | nested YAML; public rules stay below 8 |
 * | nodesMax | 30,000 | a million selections or values in one document; its lines and commas: twice as many |
 * | aliasesMax | 1,000 | alias bombs, by number; `nodesMax` bounds them by expanded size |
 * | testsMax | 20,000 | values of one rule after every modifier, and the tree its conditions expand to |
 * | charactersMax | 2,000,000 | text of those values: dash variants and placeholders multiply it |
 * | dashVariantsMax | 3,125 | `windash` of one value: 5 to the power of its dashes, so five dashes |
 * | conditionCharactersMax | 50,000 | conditions; `* of *` is also counted in `testsMax` |
 * | timespanMsMax | 90 days | windows that must be kept in state and log |
 * | countMax | 10,000 | bounds of counts: so many events are kept per group |
 * | stepsMax | 10 | rules of a temporal correlation, `until` and `not` included |
 * | referencesMax | 1,000 | rules of a counting correlation |
 * | groupFieldsMax | 8 | `group-by` and value fields |
 * | expectMax | 10,000 | groups that `x-corr.expect` lists |
 * | depthOfChainsMax | 4 | correlations over correlations (EXACTNESS X11) |
 * | rulesMax | 50,000 | rules of a set |
 */
export type RuleLimits = {
  readonly fileCharactersMax: number;
  readonly fileItemsMax: number;
  readonly depthMax: number;
  readonly nodesMax: number;
  readonly aliasesMax: number;
  readonly testsMax: number;
  readonly charactersMax: number;
  readonly dashVariantsMax: number;
  readonly conditionCharactersMax: number;
  readonly timespanMsMax: number;
  readonly countMax: number;
  readonly stepsMax: number;
  readonly referencesMax: number;
  readonly groupFieldsMax: number;
  readonly expectMax: number;
  readonly depthOfChainsMax: number;
  readonly rulesMax: number;
};

export const RULE_LIMITS: RuleLimits = {
  fileCharactersMax: 4_000_000,
  fileItemsMax: 250_000,
  depthMax: 40,
  nodesMax: 30_000,
  aliasesMax: 1_000,
  testsMax: 20_000,
  charactersMax: 2_000_000,
  dashVariantsMax: 3_125,
  conditionCharactersMax: 50_000,
  timespanMsMax: 90 * 86_400_000,
  countMax: 10_000,
  stepsMax: 10,
  referencesMax: 1_000,
  groupFieldsMax: 8,
  expectMax: 10_000,
  depthOfChainsMax: 4,
  rulesMax: 50_000,
};
