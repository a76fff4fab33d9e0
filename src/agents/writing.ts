import type { Logger } from 'pino'
import type { Meter, Models } from '../billing/index.ts'
import type { Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { ModelProvider } from '../kernel/model-ports.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { Messenger } from '../messenger/index.ts'
import { type AnswerSettings, createAnswers } from './answers.service.ts'
import { createExternalStreams } from './external-streams.service.ts'
import { createOfflineModel } from './offline-model.ts'
import { createPump } from './pump.ts'
import { createReaper } from './reaper.ts'
import { createRunControl } from './run-control.service.ts'
import { runOperations } from './runs.operations.ts'
import { createRuns } from './runs.service.ts'

/** What is being written at a shutdown may come to its end for so long. */
const graceMs = 2_000
/** An external agent that sends nothing for so long has given up. */
const externalIdleMs = 60_000

export interface WritingDependencies {
  database: Database
  messenger: Pick<Messenger, 'streams' | 'giveTitle' | 'onAsked'>
  meter: Meter
  models: Pick<Models, 'find' | 'list' | 'requireUsable'>
  /** Those that are configured; the offline model is always there. */
  providers: ModelProvider[]
  settings: AnswerSettings & {
    /** The most tokens that a conversation's answers may take in an hour. */
    tokensPerHour: number
  }
  /** Tells a person's devices of the wallet. */
  tellWallet(userId: string): Promise<void>
  events: DomainEvents
  fanout: Pick<Fanout, 'toUsers' | 'isInRoom'>
  nodeId: string
  /** Whether there may be other nodes. */
  clustered: boolean
  metrics: Pick<Metrics, 'answers' | 'streams'>
  log: Logger
}

/** Answers of models, and the messages that external agents write. */
export function createWriting(deps: WritingDependencies) {
  const { messenger, models, settings } = deps
  const shared = { ...deps, ...messenger }
  const pump = createPump({ ...shared, externalIdleMs })
  const runs = createRuns({ ...shared, onAsked: (ids) => answers.look(ids), tokensPerHour: settings.tokensPerHour })
  const providers = new Map([createOfflineModel(), ...deps.providers].map((provider) => [provider.name, provider]))
  const answers = createAnswers({ ...shared, providers, runs, pump })
  const control = createRunControl({ ...shared, models, answers, pump })
  const external = createExternalStreams({ ...shared, runs, pump })
  const reaper = createReaper({ ...shared, runs, pump, look: answers.look })
  messenger.onAsked(answers.look)
  deps.events.on('user.blocked', async () => pump.look)

  return {
    commands: Object.values(runOperations({ control, external })),
    start: reaper.start,
    /** Lets what is being written come to its end, for a moment; the rest ends as interrupted. */
    async close(): Promise<void> {
      await reaper.close()
      await answers.close(graceMs)
      await external.close()
    },
  }
}
