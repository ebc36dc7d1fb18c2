/**
 * The parts of the `tracehound` command that tests, benches and repository tools use: a whole deployment on given
 * servers, plays of scenarios, and the checks on what came of them.
 */
export { type BacktestTopicFlags, runBacktestTopic } from './commands/backtest-topic.ts';
export { runDlqRedrive } from './commands/dlq.ts';
export { runExplainAlert } from './commands/explain-alert.ts';
export { type RecoverFlags, runRecover } from './commands/recover.ts';
export { type ReplayFlags, runReplay } from './commands/replay.ts';
export { requireRuleFiles } from './commands/rule-files.ts';
export { publishRuleSet } from './commands/rules.ts';
export { type DraftFilterFlags, runRulesDraftFilter } from './commands/rules-draft-filter.ts';
export { runRulesApply } from './commands/rules-live.ts';
export { applyTopics } from './commands/topics.ts';
export { type Deployment, type DeploymentOptions, databaseUrl, startDeployment } from './deployment/deployment.ts';
export { ensureSecrets } from './deployment/secrets.ts';
export { SERVICES, type ServiceEvent, type ServiceName } from './deployment/service-process.ts';
export { createEventStream } from './events/event-stream.ts';
export { startWebhookReceiver } from './receiver/webhook-receiver.ts';
export { finalAlerts, readAlertLog } from './scenario/alert-log.ts';
export { type Check, checkPlay } from './scenario/checks.ts';
export { type PlayResult, play } from './scenario/play.ts';
export { latenessMs, loadScenario, type Scenario, type ScenarioEvent } from './scenario/scenario.ts';
export { sendEvents } from './scenario/send.ts';
export { waitSettled } from './scenario/settled.ts';
