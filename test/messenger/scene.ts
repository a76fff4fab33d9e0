import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Socket } from 'socket.io-client'
import type { ErrorCode } from '../../src/kernel/errors.ts'
import type { CommandInput, Conversation, Message } from '../../src/messenger/messenger.contract.ts'
import { connect, type Heard, join, type Person } from '../support/people.ts'

export { connect, join, type Person }

/** New people, connected, one for each name. */
export const cast = <N extends string[]>(url: string, ...names: N): Promise<{ [K in keyof N]: Person }> =>
  Promise.all(names.map((name) => join(url, name))) as Promise<{ [K in keyof N]: Person }>

/** A group that its members have heard of. */
export async function openGroup(owner: Person, ...members: Person[]): Promise<string> {
  const participantIds = members.map(({ id }) => id)
  const { id } = await owner.do('conversation:create', { type: 'group', title: 'A group', participantIds })
  await Promise.all(members.map((member) => member.hears('conversation:created', (payload) => payload.id === id)))
  return id
}

export async function openDirect(one: Person, other: Person): Promise<string> {
  const { id } = await one.do('conversation:create', { type: 'direct', participantIds: [other.id] })
  await other.hears('conversation:created', (payload) => payload.id === id)
  return id
}

type More = Partial<CommandInput<'message:send'>>

export const send = (person: Person, conversationId: string, content: string, more: More = {}) =>
  person.do('message:send', { conversationId, clientId: randomUUID(), content, ...more })

/** The person hears the message, in whatever event it comes. */
export async function hearsMessage(person: Person, id: string, event = 'messages:created'): Promise<Message> {
  const has = (payload: Heard['payload']) =>
    (payload.messages as unknown as Message[]).some((message) => message.id === id)
  const payload = await person.hears(event, has)
  return (payload.messages as unknown as Message[]).find((message) => message.id === id) as Message
}

export const historyOf = async (person: Person, conversationId: string): Promise<Message[]> =>
  (await person.do('message:history', { conversationId, limit: 200 })).messages

export const messageOf = async (person: Person, conversationId: string, id: string): Promise<Message> => {
  const found = (await historyOf(person, conversationId)).find((message) => message.id === id)
  assert.ok(found, 'the message is not in the history')
  return found
}

/** All that a participant can read of a conversation: equal before and after what must have stored nothing. */
export async function stateOf(person: Person, conversationId: string): Promise<object> {
  const [conversation, messages, { participants }] = await Promise.all([
    person.do('conversation:get', { conversationId }),
    historyOf(person, conversationId),
    person.do('participant:list', { conversationId }),
  ])
  return { conversation, messages, participants }
}

const markerTitle = 'a marker of the tests'

/**
 * What each of these people's sockets heard while `act` went on. Before and after it each begins a conversation alone: the
 * news of it comes to the same socket after everything else, so what was not heard before it is not on its way either.
 */
export async function heardDuring(people: Person[], act: () => Promise<unknown>): Promise<Heard[][]> {
  const starts = await Promise.all(people.map(mark))
  await act()
  const ends = await Promise.all(people.map(mark))
  return people.map(({ heard }, i) => heard.slice((starts[i] as number) + 1, ends[i]).filter(isNews))
}

/** Where the news of the marker stands among what the socket heard. */
async function mark(person: Person): Promise<number> {
  const { id } = await person.do('conversation:create', { type: 'group', title: markerTitle })
  const marker = await person.hears('conversation:created', (payload) => payload.id === id)
  return person.heard.findIndex(({ payload }) => payload === marker)
}

/** Markers of the user's other sockets, and of links between nodes that other test files cut, are no news. */
const isNews = ({ event, payload }: Heard): boolean => event !== 'resync' && payload.title !== markerTitle

/** The command is refused with that code. */
export async function refuses(person: Person, code: ErrorCode, name: string, input: unknown) {
  const error = await person.refused(name, input)
  assert.equal(error.code, code, `${name} ${JSON.stringify(input).slice(0, 200)}: ${JSON.stringify(error)}`)
  assert.ok(error.message.length > 0)
  return error
}

/** Those of the person's conversations that are no markers, page by page. */
export async function listOf(person: Person, input: CommandInput<'conversation:list'> = {}): Promise<Conversation[]> {
  const conversations: Conversation[] = []
  let cursor: string | undefined
  do {
    const page = await person.do('conversation:list', { ...input, ...(cursor && { cursor }) })
    conversations.push(...page.conversations)
    cursor = page.nextCursor
  } while (cursor)
  return conversations.filter(({ title }) => title !== markerTitle)
}

export const api = (url: string, person?: Person) => async (method: string, path: string, body?: unknown) => {
  const response = await fetch(`${url}/v1${path}`, {
    method,
    headers: {
      ...(person && { authorization: `Bearer ${person.session.accessToken}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, never> }
}

/** What comes with the next event of that name, within 10 s. */
export const nextEvent = <T = unknown>(socket: Socket, event: string): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(reject, 10_000, new Error(`there was no ${event} within 10 s`))
    socket.once(event, (value: T) => {
      clearTimeout(timer)
      resolve(value)
    })
  })

/** Sends one message after the other until the socket ends; gives the ids of those that were acknowledged. */
export async function sendUntilTheEnd(person: Person, conversationId: string, onAck = () => {}): Promise<string[]> {
  const acked: string[] = []
  const ended = new Promise<undefined>((resolve) => person.socket.once('disconnect', () => resolve(undefined)))
  while (person.socket.connected) {
    const input = { conversationId, clientId: randomUUID(), content: `${acked.length}` }
    const ack = await Promise.race([person.ask('message:send', input).catch(() => undefined), ended])
    if (!ack?.ok) continue
    acked.push((ack.data as { id: string }).id)
    onAck()
  }
  return acked
}
