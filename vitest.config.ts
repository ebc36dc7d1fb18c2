import { configDefaults, defineConfig } from 'vitest/config';

/** Our sources are offered under one private export condition (STYLE 10); vitest and Node use the same one. */
// `import` and `module` must not be listed: vitest passes these on as --conditions, and `require` in pg then gets ES modules.
const conditions = ['@tracehound/source', 'node', 'default'];
const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  // The global set-up runs in an environment of vitest's own, which does not inherit from `ssr`.
  environments: { __vitest__: { resolve: { conditions, externalConditions: conditions } } },
} as const;
const execArgv = ['--conditions=@tracehound/source', '--disable-warning=ExperimentalWarning'];

/** Real servers: one shared stack per run, started by the global set-up unless the environment names one. */
const onServers = {
  globalSetup: ['./packages/testkit/src/vitest-global-setup.ts'],
  testTimeout: 60_000,
  hookTimeout: 120_000,
} as const;

/** Minutes on real servers: `npm run test:long`. */
const LONG_ONLY = process.env['TRACEHOUND_TEST_LONG'] === '1' ? [] : ['**/*.long.test.ts'];

export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          execArgv,
          testTimeout: 60_000,
          setupFiles: ['./tools/test/seed.ts'],
          include: ['{packages,services}/*/src/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts'],
        },
      },
      {
        ...shared,
        test: {
          name: 'integration',
          execArgv,
          ...onServers,
          include: ['{packages,services}/*/test/**/*.test.ts', 'deploy/test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...LONG_ONLY],
        },
      },
      {
        ...shared,
        test: {
          name: 'e2e',
          execArgv,
          ...onServers,
          testTimeout: 300_000,
          fileParallelism: false,
          include: ['e2e/**/*.test.ts'],
        },
      },
    ],
  },
});
