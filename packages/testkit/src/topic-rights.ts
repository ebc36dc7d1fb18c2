import type { PartKind } from '@tracehound/stack';
import kafkajs, { type AclEntry } from 'kafkajs';
import { type OwnStack, openOwnStack } from './own-stack.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } = kafkajs;

export type TopicRight = 'read' | 'write';

/** Rights at topics and groups of a stack with `kafkaAuthorizer`: everybody's, because clients of its listeners have no names. */
type TopicRights = {
  /** From then on requests of running clients are refused. Resolves when the controller has taken it. */
  revoke(topic: string, right: TopicRight): Promise<void>;
  grant(topic: string, right: TopicRight): Promise<void>;
  /** Nobody can be a member of the group any more, or commit for it. */
  revokeGroup(groupId: string): Promise<void>;
  grantGroup(groupId: string): Promise<void>;
  close(): Promise<void>;
};

const OPERATIONS = { read: AclOperationTypes.READ, write: AclOperationTypes.WRITE } as const;

/** Servers of a test file's own that look at rights, and the rights. */
export type StackWithRights = OwnStack & { readonly rights: TopicRights };

export async function openStackWithRights(kinds: readonly PartKind[]): Promise<StackWithRights> {
  const own = await openOwnStack({ kinds, kafkaAuthorizer: true });
  const rights = await topicRights(own.stack.addresses.kafkaBrokers);
  return {
    ...own,
    rights,
    async close() {
      await rights.close();
      await own.close();
    },
  };
}

/** Connects to the brokers. */
async function topicRights(brokers: readonly string[]): Promise<TopicRights> {
  const admin = new Kafka({ brokers: [...brokers], clientId: 'topic-rights', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const entry = (
    resourceType: AclEntry['resourceType'],
    resourceName: string,
  ): Omit<AclEntry, 'operation' | 'permissionType'> => ({
    resourceType,
    resourceName,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:*',
    host: '*',
  });
  async function deny(resource: ReturnType<typeof entry>, operation: AclEntry['operation']): Promise<void> {
    // The first ACL of a resource ends "everybody may": all but the one right is given back with it.
    const all = { operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW };
    const denied = { operation, permissionType: AclPermissionTypes.DENY };
    await admin.createAcls({
      acl: [
        { ...resource, ...all },
        { ...resource, ...denied },
      ],
    });
  }
  async function allow(resource: ReturnType<typeof entry>, operation: AclEntry['operation']): Promise<void> {
    await admin.deleteAcls({ filters: [{ ...resource, operation, permissionType: AclPermissionTypes.DENY }] });
  }
  return {
    revoke: (topic, right) => deny(entry(AclResourceTypes.TOPIC, topic), OPERATIONS[right]),
    grant: (topic, right) => allow(entry(AclResourceTypes.TOPIC, topic), OPERATIONS[right]),
    revokeGroup: (groupId) => deny(entry(AclResourceTypes.GROUP, groupId), AclOperationTypes.READ),
    grantGroup: (groupId) => allow(entry(AclResourceTypes.GROUP, groupId), AclOperationTypes.READ),
    close: () => admin.disconnect(),
  };
}
