import kafkajs, { type AclEntry } from 'kafkajs';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } = kafkajs;

export type TopicRight = 'read' | 'write';

/** Rights at topics of a stack with `kafkaAuthorizer`: everybody's, because clients of its listeners have no names. */
export type TopicRights = {
  /** From then on requests of running clients are refused. Resolves when the controller has taken it. */
  revoke(topic: string, right: TopicRight): Promise<void>;
  grant(topic: string, right: TopicRight): Promise<void>;
  close(): Promise<void>;
};

const OPERATIONS = { read: AclOperationTypes.READ, write: AclOperationTypes.WRITE } as const;

/** Connects to the brokers. */
export async function topicRights(brokers: readonly string[]): Promise<TopicRights> {
  const admin = new Kafka({ brokers: [...brokers], clientId: 'topic-rights', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const entry = (topic: string): Omit<AclEntry, 'operation' | 'permissionType'> => ({
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:*',
    host: '*',
  });
  return {
    async revoke(topic, right) {
      // The first ACL of a resource ends "everybody may": all but the one right is given back with it.
      const all = { operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW };
      const denied = { operation: OPERATIONS[right], permissionType: AclPermissionTypes.DENY };
      await admin.createAcls({
        acl: [
          { ...entry(topic), ...all },
          { ...entry(topic), ...denied },
        ],
      });
    },
    async grant(topic, right) {
      const denied = { operation: OPERATIONS[right], permissionType: AclPermissionTypes.DENY };
      await admin.deleteAcls({ filters: [{ ...entry(topic), ...denied }] });
    },
    close: () => admin.disconnect(),
  };
}
