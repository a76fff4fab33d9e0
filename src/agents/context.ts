import type { ModelTurn } from '../kernel/model-ports.ts'
import { countTokens, cutToTokens } from './tokens.ts'

/** A message as a model may be shown it. */
export interface ContextMessage {
  id: string
  /** Absent: a model in its own name, the system, or somebody whose account is gone. */
  senderId?: string | undefined
  senderName?: string | undefined
  role: 'user' | 'assistant' | 'system'
  modelId?: string | undefined
  type: 'text' | 'image' | 'video' | 'audio' | 'file' | 'system'
  content: string
  replyTo?: { senderName?: string | undefined; excerpt: string } | undefined
  status: 'sent' | 'streaming' | 'failed' | 'cancelled'
  isDeleted?: boolean | undefined
}

/** Who answers: an agent, or a model in its own name. */
export interface ContextSelf {
  agentId?: string | undefined
  modelId?: string | undefined
  name: string
}

interface ContextInput {
  /** Oldest first. */
  messages: readonly ContextMessage[]
  self: ContextSelf
  systemPrompt: string | undefined
  /** Whether several people are there, so that each text needs its name. */
  isGroup: boolean
  /** The most tokens that all turns together may be. */
  budget: number
}

export interface Context {
  turns: ModelTurn[]
  inputTokens: number
  /** UTF-16 units. */
  inputLength: number
}

/** Beside its text a turn takes its role and two marks; an answer is begun with three (OpenAI's cookbook). */
const turnTokens = 4
const answerTokens = 3
/** Stands in front of a text whose beginning is left out. */
const cutNote = '[The beginning of this message is left out: it is too long.]\n'

/** Tells the model, and the offline one, how to read the turns of a group. */
export const groupNote =
  'Several people take part in this conversation: the name of who wrote a text stands before it, as in "Ann: Hello". ' +
  'Answer without a name in front.'

/** A message as it will stand in a turn. */
interface Entry {
  role: 'user' | 'assistant'
  /** Name and quote: stays whole. */
  head: string
  body: string
}

/**
 * What a model is shown of a conversation: who it is, then the turns, oldest first; user and assistant take turns and a
 * user begins, as some providers demand. What does not fit the budget is left out from the oldest on. The newest text of
 * somebody else always stays, if need be without its beginning, and the system prompt takes half of the budget at most.
 * What people write stands in turns of users alone.
 */
export async function buildContext({ messages, self, systemPrompt, isGroup, budget }: ContextInput): Promise<Context> {
  const system = await introduction(self, systemPrompt, isGroup, Math.floor(budget / 2))
  let left = budget - answerTokens - turnTokens - (await countTokens(system))
  const entries = messages.filter((message) => isShown(message, self)).map((message) => entryOf(message, self, isGroup))

  const newest = entries.findLastIndex(({ role }) => role === 'user')
  const chosen = new Map<number, { entry: Entry; tokens: number }>()
  const choose = (index: number, entry: Entry, tokens: number) => {
    chosen.set(index, { entry, tokens })
    left -= tokens
  }
  if (newest >= 0) {
    const entry = await shortened(entries[newest] as Entry, left)
    choose(newest, entry, await tokensOf(entry))
  }
  for (let index = newest < 0 ? -1 : entries.length - 1; index >= 0; index--) {
    if (index === newest) continue
    const entry = entries[index] as Entry
    const tokens = await tokensOf(entry, left)
    if (tokens > left) break
    choose(index, entry, tokens)
  }
  const inOrder = [...chosen].sort(([a], [b]) => a - b).map(([, choice]) => choice)
  const begin = inOrder.findIndex(({ entry }) => entry.role === 'user')
  for (const { tokens } of inOrder.splice(0, Math.max(0, begin))) left += tokens

  const turns = [{ role: 'system' as const, content: system }, ...merged(inOrder.map(({ entry }) => entry))]
  const inputLength = turns.reduce((length, { content }) => length + content.length, 0)
  return { turns, inputTokens: budget - left, inputLength }
}

/** The given prompt, as far as there is room for it, then who one is. */
async function introduction(
  { name }: ContextSelf,
  systemPrompt: string | undefined,
  isGroup: boolean,
  tokens: number,
): Promise<string> {
  const who = `You are ${onOneLine(name)}.${isGroup ? ` ${groupNote}` : ''}`
  const room = Math.max(0, tokens - (await countTokens(who)))
  const prompt = await cutToTokens(systemPrompt?.trim() ?? '', room, 'beginning')
  return prompt === '' ? who : `${prompt}\n\n${who}`
}

function isShown(message: ContextMessage, self: ContextSelf): boolean {
  if (message.isDeleted || message.role === 'system' || message.type === 'system') return false
  const isOfOtherModel =
    message.role === 'assistant' && !message.senderId && !!message.modelId && message.modelId !== self.modelId
  return !isOfOtherModel && (message.type !== 'text' || message.content.trim() !== '')
}

function isOwn(message: ContextMessage, { agentId, modelId }: ContextSelf): boolean {
  if (agentId) return message.senderId === agentId
  return message.role === 'assistant' && !message.senderId && message.modelId === modelId
}

function entryOf(message: ContextMessage, self: ContextSelf, isGroup: boolean): Entry {
  const text = withoutMarkers(message.content)
  const body = message.type === 'text' ? text : `[${message.type}]${text.trim() === '' ? '' : ` ${text}`}`
  // how others are shown would teach a model to write names and quotes itself
  if (isOwn(message, self)) return { role: 'assistant', head: '', body }
  const quote = message.replyTo && `> ${quoted(message.replyTo)}\n`
  const name = isGroup && `${nameOf(message.senderName)}:${quote ? '\n' : ' '}`
  return { role: 'user', head: `${name || ''}${quote ?? ''}`, body }
}

function quoted({ senderName, excerpt }: NonNullable<ContextMessage['replyTo']>): string {
  const text = withoutMarkers(onOneLine(excerpt))
  return senderName === undefined ? text : `${nameOf(senderName)}: ${text}`
}

/** A name ends at its colon, so it holds none. */
const nameOf = (name: string | undefined): string =>
  withoutMarkers(onOneLine(name ?? '').replaceAll(':', ' ')).trim() || 'Someone'

const onOneLine = (text: string): string => text.replace(/\s+/g, ' ').trim()

/** Some servers take `<|im_start|>` and its like for the beginning of a turn, wherever it stands. */
const withoutMarkers = (text: string): string => text.replace(/<\|(?=[^|<>]{0,64}\|>)/g, '< |')

const tokensOf = async ({ head, body }: Entry, enough?: number): Promise<number> =>
  turnTokens + (await countTokens(head + body, enough))

/** The entry with as much of its end as there is room for. */
async function shortened(entry: Entry, tokens: number): Promise<Entry> {
  if ((await tokensOf(entry, tokens)) <= tokens) return entry
  const head = entry.head + cutNote
  // what is cut anew may count a token or two more
  const room = tokens - turnTokens - (await countTokens(head)) - 4
  return { ...entry, head, body: await cutToTokens(entry.body, Math.max(0, room), 'end') }
}

function merged(entries: Entry[]): ModelTurn[] {
  const turns: ModelTurn[] = []
  for (const { role, head, body } of entries) {
    const last = turns.at(-1)
    if (last?.role === role) last.content += `\n\n${head}${body}`
    else turns.push({ role, content: head + body })
  }
  return turns
}
