import type { Client, Message } from '../../src/client/index.ts'
import type { Chat } from './chat.ts'
import { type Difference, firstDifference, firstDifferenceOfSenders, type Said } from './compare.ts'
import { copyOf, type Group } from './group.ts'
import type { Person } from './people.ts'

const pageSize = 200

export type Verdict = {
  /** In words, the first of the history and the first of the stores; empty: identical. */
  differences: string[]
  /** Stores that had to load messages anew, because they had been too far behind at some time. */
  reloaded: number
}

/**
 * Holds the server's history against the file, and every participant's store against the server's history: every field
 * of every message, in the same places. Where the log was sent in order the history is the file; else everyone's
 * messages are in it in their own order, and nothing else is.
 */
export async function checkGroup(group: Group, groups: Group[], chat: Chat, inOrder: boolean): Promise<Verdict> {
  const { log, members } = group
  const [reader] = members
  const history = reader ? await readHistory(reader.client, group.id) : []
  const findings = compareWithFile(group, history, chat, inOrder)
  let reloaded = 0
  const unlike: string[] = []
  for (const member of members) {
    if (await reload(group, member)) reloaded++
    const difference = firstDifference(history, copyOf(group, member)?.messages ?? [])
    if (difference) unlike.push(`that of ${member.nick}: ${describe(difference)}`)
    const theirs = groups.filter((other) => other.members.includes(member)).map(({ id }) => id)
    const foreign = member.client.store.conversations().find(({ conversation }) => !theirs.includes(conversation.id))
    if (foreign) findings.push(`the store of ${member.nick} holds ${foreign.conversation.title}, where they are not`)
  }
  if (unlike.length > 0) findings.push(`${unlike.length} stores are not the history, the first is ${unlike[0]}`)
  return { differences: findings.map((finding) => `${log.name}: ${finding}`), reloaded }
}

function compareWithFile({ log, members }: Group, history: Message[], { nicks }: Chat, inOrder: boolean): string[] {
  const nickOf = new Map(members.map(({ id, nick }) => [id, nick]))
  const file: Said[] = log.lines.map(({ person, text }) => ({ from: nicks[person] ?? '', text }))
  const stored: Said[] = history.map(({ senderId = 'nobody', content }) => ({
    from: nickOf.get(senderId) ?? senderId,
    text: content,
  }))
  const seqs = history.map(({ seq }) => ({ seq }))
  const gapless = history.map((_, index) => ({ seq: index + 1 }))

  const said = inOrder ? firstDifference(file, stored) : firstDifferenceOfSenders(file, stored)
  const gap = firstDifference(gapless, seqs)
  return [
    ...(said ? [`the history is not the file${inOrder ? '' : ", in a sender's own messages"}: ${describe(said)}`] : []),
    ...(gap ? [`the history has a gap: ${describe(gap)}`] : []),
  ]
}

/** The whole history of a conversation, from its first message on. */
async function readHistory(client: Client, conversationId: string): Promise<Message[]> {
  const messages: Message[] = []
  for (let isMore = true; isMore; ) {
    const after = messages.at(-1)?.seq ?? 0
    const page = await client.command('message:history', { conversationId, after, limit: pageSize })
    messages.push(...page.messages)
    isMore = page.hasAfter && page.messages.length > 0
  }
  return messages
}

/** Loads what a store lacks at its beginning; says whether it lacked something. */
async function reload(group: Group, { client }: Person): Promise<boolean> {
  let isMore = client.store.get(group.id)?.hasBefore ?? false
  const wasLacking = isMore
  while (isMore) isMore = await client.loadHistory(group.id, pageSize)
  return wasLacking
}

function describe({ position, expected, actual }: Difference): string {
  return `message ${position}\n    should be ${show(expected, actual)}\n    is        ${show(actual, expected)}`
}

/** Only the fields that the other has not alike, in letters that one can see. */
function show(value: object | undefined, other: object | undefined): string {
  if (!value) return 'nothing'
  const fields = Object.entries(value).filter(
    ([key, field]) => !other || firstDifference([{ field }], [{ field: (other as Record<string, unknown>)[key] }]),
  )
  return JSON.stringify(Object.fromEntries(fields)).replace(/[^\P{C}]|[^\P{Z} ]/gu, escaped)
}

const escaped = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`
