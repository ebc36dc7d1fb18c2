import { createHttpServer, HttpProblem } from '@tracehound/http';
import { isStoreAway } from '../errors.ts';
import type { AlertStore, OrganizationScope } from '../ports.ts';
import type { AlertExceptions } from './alert-exceptions.ts';
import type { TokenCheck } from './tokens-file.ts';

const LIMIT = { default: 50, max: 500 } as const;

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Read side for the command line: `GET /v1/alerts`, `/v1/alerts/{id}`, `/v1/deliveries`. A bearer token says which
 * organizations it may read; asking for another one is refused, and an alert of another one does not exist.
 */
export function createHttpApi(deps: {
  readonly store: AlertStore;
  readonly checkToken: TokenCheck;
  readonly exceptionsOf: AlertExceptions;
  readonly linkBase: () => string;
  readonly onError: (error: unknown, requestId: string) => void;
}): ReturnType<typeof createHttpServer> {
  const server = createHttpServer({ bodyBytesMax: 1, onError: deps.onError });

  server.get<{ Querystring: Query }>('/v1/alerts', async (request) => {
    const organizations = scopeOf(request.headers.authorization, request.query);
    const alerts = await answering(deps.store.listAlerts({ organizations, limit: limitOf(request.query) }));
    return { alerts };
  });

  server.get<{ Params: { id: string }; Querystring: Query }>('/v1/alerts/:id', async (request) => {
    const organizations = scopeOf(request.headers.authorization, request.query);
    const id = request.params.id.toLowerCase().replaceAll('-', '');
    const alert = await answering(deps.store.getAlert(id, organizations, deps.linkBase()));
    if (alert) return { ...alert, exceptions: await deps.exceptionsOf(alert) };
    throw new HttpProblem({ status: 404, code: 'alert_not_found', title: 'There is no such alert.' });
  });

  server.get<{ Querystring: Query }>('/v1/deliveries', async (request) => {
    const organizations = scopeOf(request.headers.authorization, request.query);
    const alert = single(request.query, 'alert')?.toLowerCase().replaceAll('-', '') ?? null;
    if (alert !== null && !/^[0-9a-f]{32}$/.test(alert)) {
      throw invalid('alert', 'An alert id has 32 hexadecimal digits.');
    }
    const query = { organizations, limit: limitOf(request.query), alertId: alert };
    return { deliveries: await answering(deps.store.listDeliveries(query)) };
  });

  function scopeOf(authorization: string | undefined, query: Query): OrganizationScope {
    const token = /^Bearer (\S{1,512})$/.exec(authorization ?? '')?.[1];
    const grant = token === undefined ? null : deps.checkToken(token);
    if (!grant) {
      throw new HttpProblem({
        status: 401,
        code: 'token_required',
        title: 'A known bearer token is needed.',
        field: 'authorization',
      });
    }
    const wanted = single(query, 'organization');
    if (wanted === undefined) return grant.organizations;
    if (grant.organizations !== null && !grant.organizations.includes(wanted)) {
      throw new HttpProblem({
        status: 403,
        code: 'organization_forbidden',
        title: 'The token does not cover this organization.',
        field: 'organization',
      });
    }
    return [wanted];
  }

  return server;
}

function limitOf(query: Query): number {
  const text = single(query, 'limit');
  if (text === undefined) return LIMIT.default;
  const limit = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT.max) throw invalid('limit', `The limit must be 1 to ${LIMIT.max}.`);
  return limit;
}

function single(query: Query, name: string): string | undefined {
  const value = query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(name, 'The parameter may be given once.');
}

function invalid(field: string, detail: string): HttpProblem {
  return new HttpProblem({ status: 400, code: 'invalid_parameter', title: 'A parameter is wrong.', field, detail });
}

async function answering<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isStoreAway(error)) throw error;
    throw new HttpProblem({
      status: 503,
      code: 'store_unavailable',
      title: 'The alert store cannot be reached.',
      retryAfterS: 1,
      cause: error,
    });
  }
}
