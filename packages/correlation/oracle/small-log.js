import { loadRuleSet } from '@tracehound/sigma';
export function smallRuleSet(rules) {
    const steps = ['a', 'b', 'c', 'd'];
    const detections = steps.map((name) => `title: ${name}\nname: ${name}\nlogsource: {product: test}\ndetection: {s: {type: ${name}}, condition: s}\n`);
    const correlations = rules.map((rule) => {
        const condition = {
            event_count: `rules: [a]\n  condition: {gte: ${rule.threshold}}`,
            value_count: `rules: [a]\n  condition: {gte: ${rule.threshold}, field: value}`,
            temporal_ordered: `rules: [${steps.slice(0, rule.threshold).join(', ')}]`,
        }[rule.type];
        return `title: ${rule.title ?? rule.name}\nname: ${rule.name}\ncorrelation:\n  type: ${rule.type}\n  group-by: [user]\n  timespan: ${rule.spanMs / 1000}s\n  ${condition}\n`;
    });
    return loadRuleSet([{ path: 'small.yml', content: [...detections, ...correlations].join('---\n') }]);
}
export const SMALL_TOPIC = { topic: 'security.events', topic_id: 't1' };
export function smallConfig(ruleSets, sources = 1) {
    return {
        clusterId: 'test',
        partition: 3,
        ruleSet: (id) => ruleSets.find((set) => set.rulesetId === id),
        sources: (version) => version < 1
            ? undefined
            : Array.from({ length: sources + version - 1 }, (_, partition) => ({ ...SMALL_TOPIC, partition })),
    };
}
export function smallMatch(fields) {
    return {
        rule: 0,
        organization_id: 'acme',
        group_key: '["s:alice"]',
        step: 0,
        value: null,
        number: null,
        source_offset: 0,
        source_instance: null,
        source_seq: null,
        flags: 0,
        ...fields,
    };
}
export function smallBatch(ruleSet, fields) {
    return {
        schema_rev: 1,
        cluster_id: 'test',
        src_topic: SMALL_TOPIC.topic,
        src_topic_id: SMALL_TOPIC.topic_id,
        src_partition: 0,
        from: fields.prev_to,
        sources_version: 1,
        activation_id: 'a1',
        ruleset_id: ruleSet.rulesetId,
        depth: 0,
        end_of_input: false,
        matches: [],
        ...fields,
    };
}
//# sourceMappingURL=small-log.js.map