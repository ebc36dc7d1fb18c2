import { describe, expect, test } from 'vitest';
import { AlerterFileError } from '../errors.ts';
import { parseReceivers } from './receivers-file.ts';
import { parseTokens } from './tokens-file.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const read = (path: string): string => {
  if (path === '/s') return `${SECRET}\n`;
  if (path === '/bad') return 'hunter2';
  throw new Error('no such file');
};

function problems(text: string): readonly string[] {
  try {
    parseReceivers(text, { readFile: read, leaseMs: 15_000 });
  } catch (error) {
    if (error instanceof AlerterFileError) return error.problems.map((problem) => problem.replace(/^\w+: /, ''));
    throw error;
  }
  return [];
}

const ROUTES = 'routes: { default: [{ receivers: [a] }] }';

describe('receivers file', () => {
  test('reads YAML with defaults', () => {
    const config = parseReceivers(
      `
receivers:
  soc: { webhook: https://soc.example/hook, secret_files: [/s, /s], timeout_ms: 5000 }
  terminal: { console: true }
routes:
  default: [{ receivers: [soc, terminal], severity_min: low }, { receivers: [terminal], audience: operator }]
  organizations:
    acme: [{ receivers: [terminal] }]
in_doubt: { resend_from: critical }
`,
      { readFile: read },
    );
    expect(config).toMatchObject({
      receivers: [
        {
          name: 'soc',
          channel: 'webhook',
          timeoutMs: 5_000,
          concurrencyMax: 4,
          keys: [Buffer.alloc(32, 1), Buffer.alloc(32, 1)],
        },
        { name: 'terminal', channel: 'console' },
      ],
      routing: {
        defaults: [
          { receivers: ['soc', 'terminal'], severityMin: 'low', audience: 'alert' },
          { receivers: ['terminal'], severityMin: 'informational', audience: 'operator' },
        ],
        organizations: { acme: [{ receivers: ['terminal'] }] },
      },
      inDoubt: { resendFrom: 'critical' },
    });
  });

  test.each([
    ['[]', 'is not a YAML or JSON object'],
    ['a: [', 'is not a YAML or JSON object'],
    [`receivers: { a: { console: true } }`, 'routes: must be an object'],
    [`receivers: { a: { console: true } }\n${ROUTES}\nroute: 1`, 'file: route is not known here'],
    [
      `receivers: { a: { webhook: 'ftp://x', secret_files: [/s] } }\n${ROUTES}`,
      'receivers.a: needs console: true, or webhook with an http or https address',
    ],
    [
      `receivers: { a: { webhook: 'http://x' } }\n${ROUTES}`,
      'receivers.a.secret_files: needs one file, or two while a secret is replaced',
    ],
    [
      `receivers: { a: { webhook: 'http://x', secret_files: [/bad] } }\n${ROUTES}`,
      'receivers.a.secret_files[0]: must name a file with whsec_ and 24 to 64 bytes in base64',
    ],
    [
      `receivers: { a: { webhook: 'http://x', secret_files: [/none] } }\n${ROUTES}`,
      'receivers.a.secret_files[0]: must name a file with whsec_ and 24 to 64 bytes in base64',
    ],
    [
      `receivers: { a: { webhook: 'http://x', secret_files: [/s], timeout_ms: 1 } }\n${ROUTES}`,
      'receivers.a.timeout_ms: must be a whole number from 100 to 30000',
    ],
    [
      `receivers: { a: { webhook: 'http://x', secret_files: [/s], timeout_ms: 15000 } }\n${ROUTES}`,
      'receivers.a.timeout_ms: must be below TRACEHOUND_ALERTER_LEASE',
    ],
    [`receivers: { a: { console: true, colour: 1 } }\n${ROUTES}`, 'receivers.a: colour is not known here'],
    [
      `receivers: { A b: { console: true }, a: { console: true } }\n${ROUTES}`,
      'receivers.A b: the name must be lower-case letters, digits, - and _',
    ],
    [
      `receivers: { a: { console: true } }\nroutes: { default: [{ receivers: [b] }] }`,
      'routes.default[0]: receiver b is not declared',
    ],
    [
      `receivers: { a: { console: true } }\nroutes: { default: [{ receivers: [] }] }`,
      'routes.default[0]: needs receivers',
    ],
    [
      `receivers: { a: { console: true } }\nroutes: { default: [{ receivers: [a], audience: all }] }`,
      'routes.default[0]: audience must be alert or operator',
    ],
    [
      `receivers: { a: { console: true } }\nroutes: { default: [{ receivers: [a], severity_min: loud }] }`,
      'routes.default[0]: severity must be one of informational, low, medium, high, critical',
    ],
    [
      `receivers: { a: { console: true } }\nroutes: { default: [{ receivers: [a], severity: low }] }`,
      'routes.default[0]: severity is not known here',
    ],
  ])('refuses %j', (text, problem) => {
    expect(problems(text)).toContain(problem);
  });

  test('names the key and all problems, and never a secret', () => {
    const text = `receivers: { a: { webhook: 'http://x', secret_files: [/bad], timeout_ms: 0 } }\n${ROUTES}`;
    expect(problems(text)).toHaveLength(2);
    try {
      parseReceivers(text, { readFile: read, leaseMs: 15_000 });
    } catch (error) {
      expect((error as AlerterFileError).explain()).toContain('TRACEHOUND_ALERTER_RECEIVERS_FILE: receivers.a');
      expect((error as AlerterFileError).explain()).not.toContain('hunter2');
    }
  });
});

describe('tokens file', () => {
  const TOKEN = 'a-token-of-more-than-24-characters';

  test('says which organizations a token may read', () => {
    const check = parseTokens(
      `[{ token: ${TOKEN}, organizations: [acme] }, { token: ${TOKEN}-2, organizations: '*' }]`,
    );
    expect(check(TOKEN)).toEqual({ organizations: ['acme'] });
    expect(check(`${TOKEN}-2`)).toEqual({ organizations: null });
    expect(check(`${TOKEN}-3`)).toBeNull();
    expect(check('')).toBeNull();
  });

  test.each([
    '[]',
    '{}',
    'x: [',
    `[{ token: short, organizations: [acme] }]`,
    `[{ token: ${TOKEN} }]`,
    `[{ token: ${TOKEN}, organizations: [] }]`,
  ])('refuses %j without repeating it', (text) => {
    expect(() => parseTokens(text)).toThrow(AlerterFileError);
    try {
      parseTokens(text);
    } catch (error) {
      expect((error as AlerterFileError).explain()).not.toContain('short');
      expect((error as AlerterFileError).explain()).not.toContain(TOKEN);
    }
  });
});
