import { type Signal, signal } from '@preact/signals'
import type { Conversation, Participant, Presence } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { conversations } from './conversations.ts'
import { client, me, myId } from './session.ts'

/** What is shown of a person. */
export interface Person {
  userId: string
  kind: 'human' | 'agent'
  username: string
  displayName: string
  avatarUrl?: string | undefined
}

/** People who were asked for beyond those that a conversation brings along: who has left, or is one of many. */
const others = new Map<string, Signal<Person | undefined>>()

/**
 * A person by id: of those who take part, else as known from another conversation, else from the server; undefined until
 * known, and for deleted accounts. Looked up once, and followed from then on.
 */
export function personOf(userId: string, among?: readonly Participant[]): Person | undefined {
  if (userId === me.value?.id) return { ...me.value, userId }
  const near = among?.find((one) => one.userId === userId)
  if (near) return near
  const known = others.get(userId)
  if (known) return known.value
  const found = signal<Person | undefined>(elsewhere(userId))
  others.set(userId, found)
  if (!found.peek())
    client.rest.request<Omit<Person, 'userId'>>('GET', `/v1/users/${userId}`).then(
      (user) => {
        found.value = { ...user, userId }
      },
      () => {},
    )
  return found.value
}

function elsewhere(userId: string): Person | undefined {
  const [id = ''] = client.store.showing(userId)
  return client.store.get(id)?.conversation.participants.find((one) => one.userId === userId)
}

client.on('user:changed', ({ user: { userId, ...face } }) => {
  const known = others.get(userId)
  if (known?.value) known.value = { ...known.value, avatarUrl: undefined, ...face }
})

export const nameOf = (userId: string | undefined, among?: readonly Participant[]): string =>
  (userId && personOf(userId, among)?.displayName) || t('common:deletedUser')

/** The other one of a direct conversation. */
export const peerOf = ({ type, participants }: Conversation): Participant | undefined =>
  type === 'direct' ? participants.find(({ userId }) => userId !== myId()) : undefined

/** What a conversation is called: its title, else the other one, else all others. */
export function titleOf(conversation: Conversation): string {
  if (conversation.title) return conversation.title
  if (conversation.type === 'assistant') return t('ai:untitled')
  const names = conversation.participants.filter(({ userId }) => userId !== myId()).map((one) => one.displayName)
  return names.join(', ') || t('common:you')
}

/** By user id; only of those watched. */
export const presences = signal<ReadonlyMap<string, Presence>>(new Map())

function takePresences(list: readonly Presence[]): void {
  const next = new Map(presences.value)
  for (const presence of list) next.set(presence.userId, presence)
  presences.value = next
}

client.on('presence:changed', (presence) => takePresences([presence]))

/** As the server takes them in one list. */
const maxWatched = 500
let watched = ''

/** Watches the people of direct conversations and those given; to be called again when either changes. */
export function watchPresence(userIds: readonly string[] = []): void {
  const peers = conversations.value.flatMap((one) => peerOf(one)?.userId ?? [])
  const wanted = [...new Set([...userIds, ...peers])].filter((id) => id !== myId()).slice(0, maxWatched)
  const key = wanted.toSorted().join(' ')
  if (key === watched) return
  watched = key
  client.command('presence:watch', { userIds: wanted }).then(
    (answer) => takePresences(answer.presences),
    () => {
      watched = ''
    },
  )
}
client.on('connected', () => {
  watched = ''
  watchPresence()
})

/** Who types, by conversation. */
export const typing = signal<ReadonlyMap<string, ReadonlySet<string>>>(new Map())

function setTyping(conversationId: string, change: (users: Set<string>) => void): void {
  const users = new Set(typing.value.get(conversationId))
  change(users)
  typing.value = new Map(typing.value).set(conversationId, users)
}

client.on('typing', ({ conversationId, userId, isTyping }) =>
  setTyping(conversationId, (users) => (isTyping ? users.add(userId) : users.delete(userId))),
)
// who has sent does not type any more, whatever the order in which that is heard
client.on('messages:created', ({ conversationId, messages }) =>
  setTyping(conversationId, (users) => {
    for (const { senderId } of messages) if (senderId) users.delete(senderId)
  }),
)
client.on('disconnected', () => {
  typing.value = new Map()
})
