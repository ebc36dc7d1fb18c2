/**
 * The import rings of the code base (CONTRIBUTING.md, "Who may import whom"). Paths are not anchored at the start so that the same rules
 * judge the planted violations under tools/planted, which must fail: a checker that sees nothing would pass.
 */
const packages = (...names) => `(^|/)packages/(${names.join('|')})/`;
const PURE = ['enrich', 'event-model', 'sigma', 'correlation', 'detect', 'lint', 'alerting', 'tamper-log'];
const ADAPTERS = ['kafka', 'avro', 'redis', 'postgres', 'http', 'config', 'lifecycle', 'telemetry', 'pipeline'];
const TESTS = '\\.test\\.ts$|(^|/)test/|(^|/)oracle/';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'pure-rings',
      comment:
        'Rings 0 and 1 do no I/O: no Node built-in but hashing, no npm package but a YAML parser in sigma, no adapter.',
      severity: 'error',
      from: { path: packages(...PURE), pathNot: TESTS },
      to: {
        pathNot: [`${packages(...PURE)}|^(node:)?crypto$|node_modules/yaml/`],
      },
    },
    {
      name: 'ring-zero-is-alone',
      comment: 'event-model imports nothing of ours.',
      severity: 'error',
      from: { path: packages('event-model'), pathNot: TESTS },
      to: { path: '(^|/)(packages|services)/', pathNot: packages('event-model') },
    },
    {
      name: 'adapters-know-no-business',
      comment: 'Adapters and plumbing may use ring 0 only; a service joins them with the engines.',
      severity: 'error',
      from: { path: packages(...ADAPTERS), pathNot: `${TESTS}|(^|/)chaos/` },
      to: { path: '(^|/)(packages|services)/', pathNot: [packages('event-model'), packages('$2')] },
    },
    {
      name: 'no-service-to-service',
      comment: 'Services meet through topics, schemas and HTTP contracts only.',
      severity: 'error',
      from: { path: '(^|/)services/([^/]+)/' },
      to: { path: '(^|/)services/', pathNot: '(^|/)services/$2/' },
    },
    {
      name: 'packages-do-not-import-services',
      severity: 'error',
      from: { path: '(^|/)packages/' },
      to: { path: '(^|/)services/' },
    },
    {
      name: 'testkit-dev-only',
      comment: 'Only tests, benches and repository tools may import the test kit or the stack launcher of tests.',
      severity: 'error',
      from: { path: '(^|/)(packages|services)/', pathNot: `${TESTS}|${packages('testkit')}|(^|/)chaos/` },
      to: { path: packages('testkit') },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'resolvable',
      comment: 'An import that cannot be resolved hides whatever it would have violated.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|\\.tracehound)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@tracehound/source', 'import', 'node', 'module', 'default'],
      extensions: ['.ts', '.mts', '.js', '.mjs', '.json'],
    },
  },
};
