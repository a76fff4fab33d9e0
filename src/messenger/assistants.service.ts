import type { Database } from '../database/database.ts'
import { AppError, unprocessable } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Beginnings } from './beginnings.ts'
import { copyMessages, findOrigin } from './breakouts.ts'
import type { Conversation, ParsedInput } from './messenger.contract.ts'

/** What the messenger asks of billing. */
export interface Models {
  /**
   * Checks that all of these can be asked.
   * @throws AppError not_found, which names the first that cannot
   */
  requireUsable(modelIds: string[]): Promise<void>
}

type Creation = ParsedInput<'conversation:create'>
type Breakout = Required<Pick<Creation, 'parentId' | 'breakoutModelId' | 'messageId'>>

/**
 * Assistant conversations: one person with one model, or with several that answer side by side. A breakout is one that
 * goes on with one model from where another conversation stood; from then on the two have nothing in common but the link.
 */
export function createAssistants(deps: { database: Database; models: Models; beginnings: Beginnings }) {
  const { database, models, beginnings } = deps

  /**
   * Checks the models that are to answer in an assistant conversation.
   * @throws AppError invalid_request, not_found
   */
  async function requireModels(modelIds: string[]): Promise<void> {
    if (modelIds.length === 0) throw invalid('models', 'an assistant conversation has at least one')
    if (new Set(modelIds).size < modelIds.length) throw invalid('models', 'must name each once')
    await models.requireUsable(modelIds)
  }

  async function begin(input: Creation, creator: string): Promise<Conversation> {
    const { title, clientId, systemPrompt, models: modelIds = [] } = input
    await requireModels(modelIds)
    const assistant = { models: modelIds, systemPrompt }
    return await beginnings.begin({ type: 'assistant', creator, others: [], title, clientId, assistant })
  }

  async function breakOut(of: Breakout, clientId: string | undefined, creator: string): Promise<Conversation> {
    const origin = await findOrigin(database, creator, of)
    const { title, systemPrompt, parentId, modelId } = origin
    await requireModels([modelId])
    const assistant = { models: [modelId], systemPrompt, parentId, breakoutModelId: modelId }
    return await beginnings.begin({ type: 'assistant', creator, others: [], title, clientId, assistant }, (em, id) =>
      copyMessages(em, id, origin),
    )
  }

  return {
    requireModels,

    /**
     * Begins an assistant conversation or a breakout, or gives the one of that client id.
     * @throws AppError unprocessable, invalid_request, not_found
     */
    async create(input: Creation, { actor }: UserContext): Promise<Conversation> {
      const breakout = checkAssistant(input)
      const { clientId } = input
      // a repeat is told its first result, whatever has become of the models and the parent since
      const earlier = clientId === undefined ? undefined : await beginnings.named(actor.userId, clientId)
      if (earlier) return earlier
      return breakout ? await breakOut(breakout, clientId, actor.userId) : await begin(input, actor.userId)
    },
  }
}

/** Whether the fields fit together; gives what a breakout goes on from, if it is one. */
function checkAssistant(input: Creation): Breakout | undefined {
  const { parentId, breakoutModelId, messageId } = input
  if (input.participantIds) throw unprocessable('Nobody but its creator is in an assistant conversation.')
  if (parentId === undefined && breakoutModelId === undefined && messageId === undefined) return undefined
  if (input.models || input.systemPrompt !== undefined || input.title !== undefined) {
    throw unprocessable('A breakout takes title and system prompt over, and has the one model.')
  }
  if (parentId === undefined) throw invalid('parentId', 'a breakout names it')
  if (breakoutModelId === undefined) throw invalid('breakoutModelId', 'a breakout names it')
  if (messageId === undefined) throw invalid('messageId', 'a breakout names it')
  return { parentId, breakoutModelId, messageId }
}

const invalid = (path: string, message: string) =>
  new AppError('invalid_request', `${path}: ${message}`, { errors: [{ path, message }] })
