import type { Logger } from 'pino'
import type { Meter } from '../billing/index.ts'
import type { Connection, Database } from '../database/database.ts'
import { AppError } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Messenger } from '../messenger/index.ts'
import type { Message } from '../messenger/messenger.contract.ts'
import { type Answerer, keyOf, type Question } from './answering.policy.ts'
import type { Rest } from './pump.ts'
import { askAgainIn, claimIn, isAgentsTurnOver, placeOf } from './questions.ts'
import {
  deferIn,
  hasOpenRun,
  insertRuns,
  lockToEnd,
  markEnded,
  type NewRun,
  type Run,
  tokensOfLastHour,
} from './run-rows.ts'

/** An answer that is about to be written. */
export interface Plan {
  answerer: Answerer
  question: Question & { payer: { id: string; isMocked: boolean } }
  /**
   * What it is asked of; of an answer that cannot be given, why; `isLater`: who is to give it was writing a moment ago, and
   * is asked what comes after that.
   */
  asks: Ask | { errorCode: string } | { isLater: true }
  /** Of an answer anew. */
  clientId?: string
}

/** One that can begin now, if only to fail. */
type DuePlan = Plan & { asks: Exclude<Plan['asks'], { isLater: true }> }

/** A request to a model as it is set aside and charged. */
export interface Ask {
  modelId: string
  /** Whether it is charged for: all are but the offline model. */
  isMetered: boolean
  inputTokens: number
  maxOutputTokens: number
}

/** How an answer came to its end. */
export interface Ended {
  status: 'sent' | 'failed' | 'cancelled'
  errorCode?: string | undefined
  modelId: string | undefined
  inputTokens: number
  outputTokens: number
  /** Of the prompt, in UTF-16 units. */
  inputLength: number
  processingTimeMs: number
}

const endAgainMs = [200, 500, 1_000, 2_000, 4_000, 8_000]

/**
 * Begins and ends answers. What always holds: a message that is being written has a run with a lease and, where it is
 * charged for, a reservation, from one transaction; it ends once, in one transaction with its charge, by whoever holds the
 * run then. What fails costs nothing; what was stopped costs what it brought.
 */
export function createRuns(deps: {
  database: Database
  streams: Messenger['streams']
  meter: Meter
  /** Tells a person's devices of the wallet. */
  tellWallet(userId: string): Promise<void>
  /** Questions have come up in a conversation. */
  onAsked(conversationIds: string[]): void
  nodeId: string
  /** The most tokens that a conversation's answers may take in an hour. */
  tokensPerHour: number
  log: Logger
}) {
  const { database, streams, meter, tellWallet, onAsked, nodeId, tokensPerHour, log } = deps

  /**
   * Begins the answers that are still to be given when the conversation is locked; each with what became of it. Given
   * `claims`, the questions are taken off the list, and those that another node has taken are left to it.
   */
  async function begin(
    conversationId: string,
    plans: Plan[],
    claims?: Question[],
  ): Promise<{ started: { run: Run; plan: Plan }[]; messages: Message[] }> {
    const begun = await database.transact(async (em) => {
      // who asks for it anew has to be there still
      const [anew] = plans.filter(({ clientId }) => clientId !== undefined)
      const held = anew
        ? await streams.lock(em, conversationId, anew.question.payer.id)
        : await streams.holdToWrite(em, conversationId)
      const claimed = claims && (await claimIn(em, conversationId, claims))
      if (!held) return undefined
      const due: DuePlan[] = []
      let isAskedAgain = false
      for (const plan of plans) {
        const isOwn = !claimed || claimed.has(placeOf(plan.question))
        if (!isOwn || !(await isDue(em, conversationId, plan))) continue
        if (isPrepared(plan)) due.push(plan)
        else {
          const { question, answerer } = plan
          const requestedBy = question.payer.id
          await askAgainIn(em, { conversationId, seq: question.seq, answerer: keyOf(answerer), requestedBy })
          isAskedAgain = true
        }
      }
      if (due.length === 0) return { isAskedAgain }
      const answers: Answer[] = []
      for (const plan of due) answers.push(await reserve(em, conversationId, plan))
      const change = await streams.beginIn(
        em,
        held,
        answers.map(({ id, plan, errorCode }) => ({
          id,
          errorCode,
          senderId: 'agent' in plan.answerer ? plan.answerer.agent.id : undefined,
          modelId: 'modelId' in plan.asks ? plan.asks.modelId : modelOf(plan.answerer),
          replyToId: held.type === 'group' ? plan.question.messageId : undefined,
        })),
      )
      const open = answers.filter(({ errorCode }) => errorCode === undefined)
      await insertRuns(em, conversationId, nodeId, open.map(newRun))
      return { change, open, membersChange: held.members_change, isAskedAgain }
    })
    if (begun?.isAskedAgain) onAsked([conversationId])
    if (!begun?.change) return { started: [], messages: [] }
    const { change, open, membersChange } = begun
    await change.announce()
    for (const payer of new Set(
      open.flatMap(({ plan, reservationId }) => (reservationId ? plan.question.payer.id : [])),
    ))
      void tellWallet(payer)
    const started = open.map(({ id, plan, reservationId }) => ({
      plan,
      run: {
        ...{ conversationId, messageId: id, kind: 'built_in' as const, epoch: 1, membersChange, savedLength: 0 },
        ...{ agentId: 'agent' in plan.answerer ? plan.answerer.agent.id : undefined },
        ...{ requestedBy: plan.question.payer.id, reservationId },
      },
    }))
    return { started, messages: change.messages }
  }

  /** Whether an answer is to begin now; who is writing already takes the question afterwards, if it is none asked anew. */
  async function isDue(
    em: Connection,
    conversationId: string,
    { answerer, question, clientId }: Plan,
  ): Promise<boolean> {
    const key = keyOf(answerer)
    if (clientId !== undefined) {
      if (await hasOpenRun(em, conversationId, key)) throw beingWritten()
      return true
    }
    // a person who has spoken since may have spoken of something else
    const isOver = async () =>
      (await isAgentsTurnOver(em, conversationId, question.seq)) || (await isAgentsTurnOver(em, conversationId))
    if (question.isByAgent && (await isOver())) {
      log.info({ conversationId, answerer: key }, 'agents have talked long enough among themselves')
      return false
    }
    return !(await deferIn(em, conversationId, key, question.seq))
  }

  interface Answer {
    id: string
    plan: DuePlan
    reservationId?: string
    errorCode?: string
  }

  /** Sets aside what the answer may take; where that cannot be, the answer fails before it begins and says why. */
  async function reserve(em: Connection, conversationId: string, plan: DuePlan): Promise<Answer> {
    const id = newId()
    const { asks, question } = plan
    if ('errorCode' in asks) return { id, plan, errorCode: asks.errorCode }
    if (!asks.isMetered) return { id, plan }
    if ((await tokensOfLastHour(em, conversationId)) >= tokensPerHour) return { id, plan, errorCode: 'spend_limit' }
    try {
      const { inputTokens, maxOutputTokens, modelId } = asks
      const estimate = { inputTokens, maxOutputTokens, modelIds: [modelId] }
      const { reservationId } = await meter.reserveIn(em, { userId: question.payer.id }, estimate)
      return { id, plan, reservationId }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (plan.clientId !== undefined) throw error
      return { id, plan, errorCode: error.code === 'not_found' ? 'model_unavailable' : error.code }
    }
  }

  /** Ends a run, if it is still the caller's; gives the message's numbers. Tried again while the database is away. */
  async function end(run: Run, ended: Ended, rest: Rest): Promise<{ prevChange: number; change: number } | undefined> {
    for (const pauseMs of [...endAgainMs, undefined]) {
      try {
        await rest.tell?.()
        return await endOnce(run, ended, rest)
      } catch (error) {
        const { conversationId, messageId } = run
        const isPassing = error instanceof AppError && error.code === 'unavailable' && pauseMs !== undefined
        if (!isPassing) {
          log.error({ err: error, conversationId, messageId }, 'a run was not ended; it ends when its lease expires')
          return undefined
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
    return undefined
  }

  async function endOnce(
    run: Run,
    ended: Ended,
    rest: Rest,
  ): Promise<{ prevChange: number; change: number } | undefined> {
    const { conversationId, messageId, requestedBy } = run
    const done = await database.transact(async (em) => {
      const held = await streams.hold(em, conversationId)
      const row = await lockToEnd(em, run)
      if (!row) return undefined
      const credits = await charge(em, run, ended)
      const { inputTokens, outputTokens, processingTimeMs } = ended
      const text = rest.text.slice(row.saved_length - rest.from)
      const change =
        held &&
        (await streams.finishIn(em, held, {
          ...{ conversationId, messageId, text, status: ended.status, errorCode: ended.errorCode },
          usage: { inputTokens, outputTokens, credits, processingTimeMs },
          requestedBy: requestedBy ?? null,
        }))
      if (held && row.pending_seq !== null) {
        await askAgainIn(em, { conversationId, seq: row.pending_seq, answerer: row.answerer, requestedBy })
      }
      const tokens = isCharged(ended) ? inputTokens + outputTokens : 0
      await markEnded(em, run, { status: ended.status === 'sent' ? 'succeeded' : ended.status, tokens })
      return { change, isAsked: change?.asked || row.pending_seq !== null }
    })
    if (!done) return undefined
    await done.change?.announce()
    if (run.reservationId && requestedBy) void tellWallet(requestedBy)
    if (done.isAsked) onAsked([conversationId])
    return done.change
  }

  /** Charges what was set aside for the run, or gives it back; gives the credits. */
  async function charge(em: Connection, run: Run, ended: Ended): Promise<number> {
    const { reservationId, conversationId } = run
    if (!reservationId) return 0
    try {
      if (!isCharged(ended) || ended.modelId === undefined) {
        await meter.cancelIn(em, reservationId)
        return 0
      }
      const { modelId, inputTokens, outputTokens, processingTimeMs, inputLength } = ended
      const model = { modelId, inputTokens, outputTokens, processingTimeMs, succeeded: true }
      return (await meter.settleIn(em, reservationId, { models: [model], conversationId, inputLength })).credits
    } catch (error) {
      // resolved without us: the account was deleted meanwhile, or the run took longer than reservations live
      if (!(error instanceof AppError)) throw error
      log.warn({ reservationId, messageId: run.messageId, reason: error.message }, 'a run was not charged')
      return 0
    }
  }

  return { begin, end }
}

export type Runs = ReturnType<typeof createRuns>

export const beingWritten = () =>
  new AppError('conflict', 'An answer of the same one is being written: wait or stop it.')

const isPrepared = (plan: Plan): plan is DuePlan => !('isLater' in plan.asks)

/** What failed, or brought nothing, costs nothing. */
const isCharged = ({ status, outputTokens }: Ended): boolean => status !== 'failed' && outputTokens > 0

const modelOf = (answerer: Answerer): string | undefined =>
  'agent' in answerer ? answerer.agent.modelId : answerer.modelId

const newRun = ({ id, plan, reservationId }: { id: string; plan: Plan; reservationId?: string }): NewRun => ({
  messageId: id,
  kind: 'built_in',
  agentId: 'agent' in plan.answerer ? plan.answerer.agent.id : undefined,
  modelId: 'modelId' in plan.asks ? plan.asks.modelId : undefined,
  answerer: keyOf(plan.answerer),
  requestedBy: plan.question.payer.id,
  clientId: plan.clientId,
  triggerSeq: plan.question.seq,
  reservationId,
})
