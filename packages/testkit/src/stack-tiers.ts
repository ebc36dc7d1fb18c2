import { join } from 'node:path';
import { isDockerAvailable, openStack, repositoryRoot, type Stack, type StackOptions } from '@tracehound/stack';

/** Opens a stack of a tier; what the tier cannot choose (Docker has one broker) it ignores. */
export type OpenTier = (options?: Pick<StackOptions, 'kinds'>) => Promise<Stack>;

/**
 * The same tests on native servers and on Testcontainers. Where no Docker engine answers, the second tier is skipped
 * under a name that says so, and the runner counts it. Await the call at the top of the test file.
 */
export async function describeStackTiers(name: string, body: (open: OpenTier) => void): Promise<void> {
  const [{ describe }, hasDocker] = await Promise.all([import('vitest'), isDockerAvailable()]);
  describe(`${name} [native]`, () => {
    let opened = 0;
    body((options = {}) => {
      opened += 1;
      const directory = join(repositoryRoot(), '.tracehound', `test-${process.pid}-tier-${opened}`);
      return openStack({ ...options, directory, mode: 'native' });
    });
  });
  const containers = hasDocker ? 'testcontainers' : 'testcontainers: no Docker engine answers here';
  describe.skipIf(!hasDocker)(`${name} [${containers}]`, () => {
    body(async () => (await import('./testcontainers-stack.ts')).openTestcontainersStack());
  });
}
