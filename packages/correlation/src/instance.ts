import { NO_WATERMARK_MS } from '@tracehound/event-model';
import { type CorrelationRule, isMonotone } from '@tracehound/sigma';
import { hashOf } from './alert-id.ts';
import type { Instance } from './live-group.ts';
import { windowRuleOf } from './window-rule.ts';

/** Short name of (correlation uid, semantic hash); 64 bits are plenty for the rules of one partition. */
export function instanceKey(rule: CorrelationRule): string {
  return hashOf([rule.uid, rule.semanticHash]).slice(0, 16);
}

/** An instance without groups. */
export function createInstance(rule: CorrelationRule, key: string): Instance {
  const { definition } = rule;
  const isPlain = definition.window.kind === 'sliding' && isMonotone(definition);
  return {
    key,
    window: isPlain && definition.onMatch === 'suppress' ? windowRuleOf(definition) : null,
    opens: definition.decided === 'arrival' && rule.emitsAlert,
    isInner: rule.feeds.length > 0,
    lagMs: isPlain ? 0 : definition.spanMs,
    depth: rule.depth,
    families: new Map(),
    rule,
    groups: 0,
    newestMs: NO_WATERMARK_MS,
  };
}
