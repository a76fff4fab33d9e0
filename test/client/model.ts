import type { Conversation, Message, Participant, SyncOutput } from '../../src/client/index.ts'
import type { News } from '../../src/client/store.ts'

export const me = 'me'
const people = [me, 'ann', 'bob', 'eve']
const emojis = ['👍', '🎉']

/** Repeatable random numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A conversation as the server has it: the least code that follows protocol.md, to compare clients with. */
export class ModelConversation {
  readonly id: string
  /** What people are called who are not called as at first, also while they are away. */
  #names = new Map<string, { username: string; displayName: string; avatarUrl?: string }>()
  title = 'first'
  lastChange = 0
  messages: Message[] = []
  participants: (Participant & { change: number })[]
  settings = { isPinned: false, isMuted: false, isArchived: false }
  #random: () => number
  #sharedChange = 0

  constructor(id: string, random: () => number) {
    this.id = id
    this.#random = random
    this.participants = [me, 'ann', 'bob'].map((userId) => this.#newcomer(userId))
  }

  /** Does one random thing and gives the event that participants hear. */
  step(): News {
    const roll = this.#random()
    const others = this.participants.filter(({ userId }) => userId !== me)
    if (roll < 0.4 || this.messages.length === 0) return this.post(1 + Math.floor(this.#random() * 3))
    if (roll < 0.52) return this.#edit()
    if (roll < 0.72) return this.#react()
    if (roll < 0.78) return this.#rename()
    if (roll < 0.84) return others.length > 1 ? this.#leave(others) : this.#join()
    if (roll < 0.88) return this.#join()
    if (roll < 0.94) return this.#read()
    if (roll < 0.97) return this.#call()
    this.settings = { ...this.settings, isMuted: !this.settings.isMuted }
    return this.#state()
  }

  post(count: number, senderId?: string): EventOf<'messages:created'> {
    const prevChange = this.lastChange
    const messages = Array.from({ length: count }, () => {
      const row: Message = {
        id: `m${this.messages.length + 1}`,
        conversationId: this.id,
        seq: this.messages.length + 1,
        change: ++this.lastChange,
        senderId: senderId ?? this.#pick(this.participants).userId,
        role: 'user',
        type: 'text',
        content: `text ${this.lastChange}`,
        ...(this.#random() < 0.3 && { mentions: [me] }),
        status: 'sent',
        createdAt: new Date(1e12 + this.messages.length).toISOString(),
      }
      this.messages.push(row)
      this.#raise(row.senderId ?? '', row.seq, row.seq)
      return row
    })
    return {
      name: 'messages:created',
      payload: { conversationId: this.id, prevChange, change: this.lastChange, messages },
    }
  }

  conversation(): Conversation {
    const own = this.#participant(me)
    const lastReadSeq = own?.lastReadSeq ?? 0
    return {
      id: this.id,
      type: 'group',
      title: this.title,
      lastSeq: this.messages.length,
      lastChange: this.lastChange,
      ...(this.messages.length > 0 && { lastMessage: this.messages.at(-1) }),
      participantCount: this.participants.length,
      participants: this.participants.map(({ change: _, ...participant }) => ({ ...participant })),
      settings: this.settings,
      lastReadSeq,
      unreadCount: this.messages.length - lastReadSeq,
      unreadMentions: this.messages.filter((row) => row.seq > lastReadSeq && row.mentions?.includes(me)).length,
      createdAt: '2026-01-01T00:00:00.000Z',
      updatedAt: '2026-01-01T00:00:00.000Z',
    }
  }

  history(before: number, limit: number): { messages: Message[]; hasBefore: boolean; hasAfter: boolean } {
    const from = Math.max(0, before - 1 - limit)
    return { messages: this.messages.slice(from, before - 1), hasBefore: from > 0, hasAfter: true }
  }

  /** One page of `sync`; a limit below the number of news leaves `hasMore`. */
  sync(position: number | undefined, limit: number): SyncOutput {
    const answer = { removed: [], serverTime: new Date().toISOString() }
    const { id, lastChange } = this
    if (position === undefined || lastChange - position > 500) {
      const messages = this.messages.slice(-50)
      const conversations = [this.conversation()]
      return {
        ...answer,
        conversations,
        messages,
        receipts: [],
        resets: [id],
        positions: { [id]: lastChange },
        hasMore: false,
      }
    }
    const newer = this.messages.filter((row) => row.change > position).sort((a, b) => a.change - b.change)
    const messages = newer.slice(0, limit)
    const hasMore = newer.length > limit
    const reached = hasMore ? (messages.at(-1)?.change ?? position) : lastChange
    const receipts = this.participants.map(({ userId, lastReadSeq, lastDeliveredSeq }) => {
      return { conversationId: id, userId, lastReadSeq, lastDeliveredSeq }
    })
    // nothing but `users` tells of names where the conversation itself has not changed
    const conversations = this.#sharedChange > position || !hasMore ? [withoutNames(this.conversation())] : []
    const users = this.participants.map(({ userId }) => ({ userId, ...this.#nameOf(userId) }))
    return { ...answer, conversations, messages, receipts, users, resets: [], positions: { [id]: reached }, hasMore }
  }

  #changed<T extends object>(payload: T): T & { conversationId: string; prevChange: number; change: number } {
    return { conversationId: this.id, prevChange: this.lastChange - 1, change: this.lastChange, ...payload }
  }

  #replace(row: Message): Message {
    this.messages[row.seq - 1] = row
    return row
  }

  #edit(): News {
    const { reactions, mentions, ...row } = this.#pick(this.messages)
    const change = ++this.lastChange
    const isDeleted = this.#random() < 0.3 || row.deletedAt !== undefined
    const next: Message = isDeleted
      ? { ...row, content: '', deletedAt: '2026-01-02T00:00:00.000Z', change }
      : {
          ...row,
          ...(reactions && { reactions }),
          ...(mentions ? {} : { mentions: [me] }),
          content: `edit ${change}`,
          change,
        }
    return { name: 'messages:updated', payload: this.#changed({ messages: [this.#replace(next)] }) }
  }

  #react(): News {
    const row = this.#pick(this.messages)
    const { userId } = this.#pick(this.participants)
    const emoji = this.#pick(emojis)
    const others = (row.reactions ?? []).map((one) => (one.emoji === emoji ? without(one, userId) : one))
    const added = !row.reactions?.some((one) => one.emoji === emoji && one.userIds.includes(userId))
    const entry = others.find((one) => one.emoji === emoji) ?? { emoji, userIds: [] }
    const next = added ? { emoji, userIds: [...entry.userIds, userId] } : entry
    const reactions = [...others.filter((one) => one !== entry), next].filter((one) => one.userIds.length > 0)
    const { reactions: _, ...rest } = row
    this.#replace({ ...rest, ...(reactions.length > 0 && { reactions }), change: ++this.lastChange })
    return {
      name: 'reactions:changed',
      payload: this.#changed({ reactions: [{ messageId: row.id, userId, emoji, added }] }),
    }
  }

  #rename(): News {
    this.#sharedChange = ++this.lastChange
    this.title = `title ${this.lastChange}`
    const {
      settings: _,
      lastReadSeq: __,
      unreadCount: ___,
      unreadMentions: ____,
      ...conversation
    } = this.conversation()
    return { name: 'conversation:updated', payload: this.#changed({ conversation }) }
  }

  #leave(others: Participant[]): News {
    const { userId } = this.#pick(others)
    const left = this.participants.filter((one) => one.userId === userId)
    this.participants = this.participants.filter((one) => one.userId !== userId)
    this.#sharedChange = ++this.lastChange
    return this.#participants(left.map((one) => ({ ...one, leftAt: '2026-01-02T00:00:00.000Z' })))
  }

  #join(): News {
    const absent = people.filter((userId) => !this.participants.some((one) => one.userId === userId))
    const known = this.participants.at(-1)
    if (!known || absent.length === 0) return this.#rename()
    this.#sharedChange = ++this.lastChange
    const joined = this.#newcomer(this.#pick(absent))
    this.participants.push(joined)
    return this.#participants([joined])
  }

  #participants(rows: (Participant & { change: number })[]): News {
    return {
      name: 'participants:changed',
      payload: this.#changed({
        participants: rows.map(({ change: _, ...row }) => row),
        participantCount: this.participants.length,
      }),
    }
  }

  #read(): News {
    const { userId } = this.#pick(this.participants)
    const seq = 1 + Math.floor(this.#random() * this.messages.length)
    this.#raise(userId, seq, seq)
    const { lastReadSeq = 0, lastDeliveredSeq = 0 } = this.#participant(userId) ?? {}
    const receipts = [{ userId, lastReadSeq, lastDeliveredSeq }]
    return { name: 'receipts:changed', payload: { conversationId: this.id, receipts } }
  }

  #call(): EventOf<'user:changed'> {
    const person = this.#pick(this.participants)
    const { userId } = person
    const times = Math.floor(this.#random() * 1000)
    const avatarUrl = this.#random() < 0.5 ? `/avatars/${times}` : undefined
    this.#names.set(userId, {
      username: `${userId}${times}`,
      displayName: `name ${times}`,
      ...(avatarUrl !== undefined && { avatarUrl }),
    })
    delete person.avatarUrl
    Object.assign(person, this.#nameOf(userId))
    return { name: 'user:changed', payload: { user: { userId, ...this.#nameOf(userId) } } }
  }

  #nameOf(userId: string): { username: string; displayName: string; avatarUrl?: string } {
    return this.#names.get(userId) ?? { username: userId, displayName: userId }
  }

  #state(): News {
    const { settings, lastReadSeq, unreadCount, unreadMentions } = this.conversation()
    const payload = { conversationId: this.id, settings, lastReadSeq, unreadCount, unreadMentions }
    return { name: 'conversation:state', payload }
  }

  #newcomer(userId: string): Participant & { change: number } {
    const seq = this.messages.length
    const names = { userId, kind: 'human' as const, ...this.#nameOf(userId), role: 'member' as const }
    const positions = { lastReadSeq: seq, lastDeliveredSeq: seq, joinedAt: '2026-01-01T00:00:00.000Z' }
    return { ...names, ...positions, change: this.lastChange }
  }

  #participant(userId: string): (Participant & { change: number }) | undefined {
    return this.participants.find((one) => one.userId === userId)
  }

  #raise(userId: string, read: number, delivered: number): void {
    const own = this.#participant(userId)
    if (!own) return
    own.lastReadSeq = Math.max(own.lastReadSeq, read)
    own.lastDeliveredSeq = Math.max(own.lastDeliveredSeq, delivered)
  }

  #pick<T>(items: T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T
  }
}

type EventOf<K extends News['name']> = Extract<News, { name: K }>
type Reaction = NonNullable<Message['reactions']>[number]

/** As it was read before anyone was renamed. */
function withoutNames(conversation: Conversation): Conversation {
  const participants = conversation.participants.map(({ avatarUrl: _, ...one }) => {
    return { ...one, username: one.userId, displayName: one.userId }
  })
  return { ...conversation, participants }
}

const without = (reaction: Reaction, userId: string): Reaction => ({
  ...reaction,
  userIds: reaction.userIds.filter((id) => id !== userId),
})
