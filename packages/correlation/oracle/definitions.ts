import type { CorrelationDefinition } from '@tracehound/sigma';
import { isMonotone } from './model.ts';

/** A definition from what differs from a plain sliding rule in `suppress` mode; `decided` follows from the rest. */
export function correlationOf(
  parts: Pick<CorrelationDefinition, 'type' | 'spanMs'> & Partial<CorrelationDefinition>,
): CorrelationDefinition {
  const definition: CorrelationDefinition = {
    window: { kind: 'sliding' },
    bounds: [],
    percentile: null,
    temporal: null,
    ordered: [],
    strict: false,
    gapMs: null,
    until: [],
    reuse: false,
    onMatch: 'suppress',
    suppressMs: null,
    expect: [],
    decided: 'watermark',
    ...parts,
  };
  const onArrival = isMonotone(definition) && definition.window.kind === 'sliding' && definition.onMatch === 'suppress';
  return { ...definition, decided: onArrival ? 'arrival' : 'watermark' };
}
