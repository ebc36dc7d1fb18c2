/** Levels of Sigma 2.1, weakest first. */
export const RULE_LEVELS: readonly string[] = ['informational', 'low', 'medium', 'high', 'critical'];

/** Top-level keys of Sigma 2.1, `custom`, and our `override`; keys that begin with `x-` pass as well. */
export const RULE_KEYS: readonly string[] = [
  'title',
  'id',
  'name',
  'taxonomy',
  'status',
  'description',
  'license',
  'author',
  'references',
  'date',
  'modified',
  'logsource',
  'detection',
  'correlation',
  'filter',
  'override',
  'fields',
  'falsepositives',
  'level',
  'tags',
  'scope',
  'related',
  'generate',
  'custom',
];
