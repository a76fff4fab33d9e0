import type { Logger } from 'pino'
import { type Models, offlineModel } from '../billing/index.ts'
import type { Database } from '../database/database.ts'
import { notFound, unprocessable } from '../kernel/errors.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { ModelProvider, ModelTurn } from '../kernel/model-ports.ts'
import type { Message } from '../messenger/messenger.contract.ts'
import { type Answerer, keyOf, latestByAnswerer, type Question, type Setting } from './answering.policy.ts'
import { buildContext, type ContextMessage } from './context.ts'
import { messagesUpTo } from './context-rows.ts'
import { writeBy } from './model-writer.ts'
import type { Pump } from './pump.ts'
import { settingOf, waitingIn } from './questions.ts'
import { type Run, writersIn } from './run-rows.ts'
import type { Ask, Plan, Runs } from './runs.service.ts'
import { titleOf } from './title.ts'
import { countTokens } from './tokens.ts'

/** Where an agent says nothing of it. */
const standardOutputTokens = 4_096

export interface AnswerSettings {
  /** Of agents without one. */
  standardModel: string | undefined
  /** The most of a conversation that a model is shown, in tokens. */
  contextTokens: number
  /** The longest pause within an answer, and the longest answer. */
  idleMs: number
  totalMs: number
}

/** What a model is asked, beside what is set aside for it. */
interface Request {
  provider: ModelProvider
  turns: ModelTurn[]
  temperature: number | undefined
  inputLength: number
}

/** The messages of a conversation up to a position. */
type Reading = (seq: number) => Promise<ContextMessage[]>

/** A plan that can be written. */
export type Prepared = Plan & { request?: Request; isUntitled?: boolean }

/**
 * Has questions answered: finds who answers, begins the answers, has models write them, and ends them. The questions of
 * one conversation are looked at one after the other on this node; who of several nodes takes a question, and that nobody
 * answers twice at a time, is decided in the database.
 */
export function createAnswers(deps: {
  database: Database
  models: Pick<Models, 'find' | 'list'>
  /** By name. */
  providers: Map<string, ModelProvider>
  runs: Runs
  pump: Pump
  giveTitle(conversationId: string, title: string): Promise<void>
  settings: AnswerSettings
  metrics: Pick<Metrics, 'answers'>
  log: Logger
}) {
  const { database, models, providers, runs, pump, giveTitle, settings, metrics, log } = deps
  /** Conversations whose questions are being looked at; true: they are to be looked at once more. */
  const looking = new Map<string, boolean>()
  const writing = new Set<Promise<void>>()
  let closed = false

  /** Looks at the questions of conversations; never throws. */
  function look(conversationIds: string[]): void {
    for (const id of conversationIds) {
      if (closed) return
      if (looking.has(id)) looking.set(id, true)
      else void lookAt(id)
    }
  }

  async function lookAt(conversationId: string): Promise<void> {
    do {
      looking.set(conversationId, false)
      try {
        await answer(conversationId)
      } catch (error) {
        // whatever is on the list is looked at again in a few seconds
        log.warn({ err: error, conversationId }, 'questions in a conversation were not taken up; it is tried again')
        break
      }
    } while (looking.get(conversationId) && !closed)
    looking.delete(conversationId)
  }

  async function answer(conversationId: string): Promise<void> {
    const questions = await waitingIn(database, conversationId)
    if (questions.length === 0) return
    const setting = await settingOf(database, conversationId)
    const asked = setting ? latestByAnswerer(setting, questions) : []
    // what they are shown is to hold the end of what they write now
    const writers = await writersIn(database, conversationId)
    const reading = readOnce(conversationId)
    const plans: Prepared[] = []
    for (const { answerer, question } of asked) {
      const isWriting = writers.has(keyOf(answerer))
      plans.push(
        isWriting
          ? { ...planOf(answerer, question), asks: { isLater: true } }
          : await prepare(setting as Setting, answerer, question, reading),
      )
    }
    await start(conversationId, plans, questions)
  }

  /** Chooses the model and builds what it is shown. What is in the way becomes a failed answer, that people can read. */
  async function prepare(
    setting: Setting,
    answerer: Answerer,
    question: Question,
    messagesBefore: Reading,
    clientId?: string,
  ): Promise<Prepared> {
    const plan = { ...planOf(answerer, question), ...(clientId !== undefined && { clientId }) }
    const { payer } = plan.question
    const wanted = 'agent' in answerer ? (answerer.agent.modelId ?? (await standardModel())) : answerer.modelId
    const model = await models.find(payer.isMocked ? offlineModel : wanted)
    const provider = model?.usable ? providers.get(model.provider) : undefined
    if (!model || !provider) return { ...plan, asks: { errorCode: 'model_unavailable' } }

    const agent = 'agent' in answerer ? answerer.agent : undefined
    const maxOutputTokens = Math.min(
      agent?.maxOutputTokens ?? standardOutputTokens,
      Math.floor(model.contextWindow / 2),
    )
    const { turns, inputTokens, inputLength } = await buildContext({
      messages: await messagesBefore(question.seq),
      self: agent ? { agentId: agent.id, name: agent.name } : { modelId: wanted, name: model.label },
      systemPrompt: agent ? agent.systemPrompt : setting.systemPrompt,
      isGroup: setting.type === 'group',
      budget: Math.min(settings.contextTokens, model.contextWindow - maxOutputTokens),
    })
    const isMetered = provider.name !== offlineModel
    const asks: Ask = { modelId: model.id, isMetered, inputTokens, maxOutputTokens }
    const request = { provider, turns, temperature: agent?.temperature, inputLength }
    return { ...plan, asks, request, isUntitled: setting.type === 'assistant' && setting.title === undefined }
  }

  /** Models that answer side by side are shown the same messages: they are read once for all. */
  function readOnce(conversationId: string): Reading {
    const read = new Map<number, Promise<ContextMessage[]>>()
    return (seq) => {
      const messages = read.get(seq) ?? messagesUpTo(database, conversationId, seq)
      read.set(seq, messages)
      return messages
    }
  }

  async function standardModel(): Promise<string> {
    if (settings.standardModel !== undefined) return settings.standardModel
    const [first] = await models.list()
    return first?.id ?? offlineModel
  }

  /** Begins the answers and lets them be written; gives the messages that began. */
  async function start(conversationId: string, plans: Prepared[], claims?: Question[]): Promise<Message[]> {
    const { started, messages } = await runs.begin(conversationId, plans, claims)
    for (const { run, plan } of started) {
      const work = write(run, plan as Prepared).finally(() => writing.delete(work))
      writing.add(work)
    }
    return messages
  }

  async function write(run: Run, { asks, request, question, isUntitled }: Prepared): Promise<void> {
    // an answer that began has both
    const { modelId, maxOutputTokens, inputTokens: estimated } = asks as Ask
    const { provider, turns, temperature, inputLength } = request as Request
    const growing = pump.open(run)
    if (closed) growing.halt('shutdown')
    const began = Date.now()
    const written = await writeBy(provider, { modelId, turns, maxOutputTokens, temperature }, growing, settings)
    const { status, errorCode, text, usage, cause } = written
    const { conversationId, messageId } = run
    if (cause) log.warn({ err: cause, conversationId, messageId, modelId }, 'a model did not answer')
    const rest = await growing.close()
    metrics.answers.labels(errorCode ?? status).inc()
    if (growing.signal.reason === 'lost') return
    const outputTokens = usage?.outputTokens ?? (await countTokens(text))
    await runs.end(
      run,
      {
        ...{ status, errorCode, modelId, inputLength, outputTokens },
        ...{ inputTokens: usage?.inputTokens ?? estimated, processingTimeMs: Date.now() - began },
      },
      rest,
    )
    if (status === 'sent' && isUntitled) await name(conversationId, question, text)
  }

  /** A title is a nicety: without one the next answer gives it. */
  async function name(conversationId: string, { seq }: Question, answerText: string): Promise<void> {
    try {
      const [question] = (await messagesUpTo(database, conversationId, seq)).filter(({ role }) => role === 'user')
      const title = question && titleOf(question.content, answerText)
      if (title) await giveTitle(conversationId, title)
    } catch (error) {
      log.warn({ err: error, conversationId }, 'a conversation was not given a title')
    }
  }

  return {
    look,

    /**
     * Begins the answer to a question anew; gives the message that began.
     * @throws AppError unprocessable, conflict where the answerer is writing, and what the meter refuses
     */
    async regenerate(
      conversationId: string,
      answerer: Answerer,
      question: Question,
      clientId: string,
    ): Promise<Message> {
      const setting = await settingOf(database, conversationId)
      const plan = setting && (await prepare(setting, answerer, question, readOnce(conversationId), clientId))
      if (plan && 'errorCode' in plan.asks) throw unprocessable('This model cannot be asked now.')
      const [message] = plan ? await start(conversationId, [plan]) : []
      if (!message) throw notFound('conversation')
      return message
    },

    /** Lets answers come to their end for so long, and then ends them as interrupted, within as long again. */
    async close(graceMs: number): Promise<void> {
      closed = true
      const all = (): Promise<unknown> => Promise.all(writing)
      await Promise.race([all(), new Promise((resolve) => setTimeout(resolve, graceMs).unref())])
      for (const growing of pump.all()) if (growing.run.kind === 'built_in') growing.halt('shutdown')
      await Promise.race([all(), new Promise((resolve) => setTimeout(resolve, graceMs).unref())])
    },
  }
}

export type Answers = ReturnType<typeof createAnswers>

/** Nobody answers what nobody pays for. */
const planOf = (answerer: Answerer, question: Question): Pick<Plan, 'answerer' | 'question'> => ({
  answerer,
  question: { ...question, payer: question.payer as NonNullable<Question['payer']> },
})
