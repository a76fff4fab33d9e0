import type {
  Conversation,
  EventPayload,
  Face,
  Message,
  Participant,
  Receipt,
  SharedConversation,
} from '../messenger/messenger.contract.ts'
import { isStreaming, newer, withReactions } from './message.rows.ts'

export type Delta = EventPayload<'stream:delta'>

/**
 * What became of a piece of a growing text. 'gap': text before it is missing, 'absent': no such message grows here (yet,
 * or any more); nothing was taken.
 */
export type Growth = 'grown' | 'known' | 'gap' | 'absent'

/** In characters, as the server cuts it. */
const excerptLength = 100

/**
 * The local copy of one conversation. What always holds:
 * - every durable change up to `change` is in it; single rows may be ahead of that (history, other answers), none behind;
 * - `messages` is in order of seq, and without a gap from seq `from` to the newest, except in the middle of a sync;
 * - positions (read, delivered) never move back;
 * - the text of a message that streams never gets shorter, except by a row with a higher change;
 * - a changed message is another object, and so is `conversation` after each change: one may compare by reference.
 */
export class ConversationCopy {
  conversation: Conversation
  readonly messages: Message[]
  change: number
  from: number
  readonly #userId: string
  /** The change as of which title, participants and the like are known: an answer to a command may be ahead of events. */
  #sharedAt: number
  /** Rows below `from` of which news came: by id, the change that a history page must have reached to be taken. */
  readonly #missed = new Map<string, number>()
  /** The messages whose text grows: seq by id. */
  readonly #growing = new Map<string, number>()

  /** `rows` are its newest messages; without any, the last message of `conversation` begins the copy. */
  constructor(conversation: Conversation, userId: string, rows: Message[], change: number) {
    const { lastMessage, lastSeq } = conversation
    const isLastKnown = lastMessage !== undefined && lastMessage.seq >= lastSeq
    this.messages = rows.length > 0 || !isLastKnown ? rows.toSorted((a, b) => a.seq - b.seq) : [lastMessage]
    this.conversation = { ...conversation, participants: [...conversation.participants] }
    this.change = change
    this.from = this.messages[0]?.seq ?? lastSeq + 1
    this.#userId = userId
    this.#sharedAt = conversation.lastChange
    for (const row of this.messages) this.#watch(row)
    this.summarize()
  }

  /** Whether older messages remain to be loaded: seqs begin at 1 and have no gaps. */
  get hasBefore(): boolean {
    return this.from > 1
  }

  /** The messages whose text grows. */
  get streaming(): Message[] {
    return [...this.#growing.values()].flatMap((seq) => this.messages[this.#placeOf(seq)] ?? [])
  }

  /** Takes a message that is newer than the own row. */
  put(row: Message): void {
    if (row.seq < this.from) {
      if (row.change >= (this.#missed.get(row.id) ?? 0)) this.#quote(row)
      this.#miss(row.id, row.change)
      return
    }
    const place = this.#placeOf(row.seq)
    const own = this.messages[place]?.seq === row.seq ? this.messages[place] : undefined
    if (own && own.change >= row.change) {
      // The text of a stream grows without a change: a longer one is a newer one.
      if (own.change === row.change) this.grow({ messageId: row.id, offset: 0, text: row.content })
      return
    }
    if (own) this.#quote(row)
    this.messages.splice(place, own ? 1 : 0, row)
    this.#watch(row)
    this.conversation.lastSeq = Math.max(this.conversation.lastSeq, row.seq)
    this.conversation.unreadMentions += this.#unreadMentionsIn(row) - (own ? this.#unreadMentionsIn(own) : 0)
    if (row.senderId) this.raise({ userId: row.senderId, lastReadSeq: row.seq, lastDeliveredSeq: row.seq })
  }

  /** Takes a piece of a growing text as far as it goes beyond the own. `offset`: UTF-16 units before it. */
  grow({ messageId, offset, text }: Pick<Delta, 'messageId' | 'offset' | 'text'>): Growth {
    const seq = this.#growing.get(messageId)
    if (seq === undefined) return 'absent'
    const place = this.#placeOf(seq)
    const row = this.messages[place]
    if (!row) return 'absent'
    const { length } = row.content
    if (offset > length) return 'gap'
    if (offset + text.length <= length) return 'known'
    this.messages[place] = { ...row, content: row.content + text.slice(length - offset) }
    // Nothing else of the conversation depends on the text: the whole of `summarize` would be too much for each delta.
    this.conversation = {
      ...this.conversation,
      lastMessage: newer(this.messages.at(-1), this.conversation.lastMessage),
    }
    return 'grown'
  }

  /**
   * Takes reactions, unless a message's row is as new as the event and so holds them already. A row from the middle of
   * the event's changes takes them all again: the last word on each person and emoji comes out the same.
   */
  react({ prevChange, change, reactions }: EventPayload<'reactions:changed'>): void {
    for (const messageId of new Set(reactions.map((reaction) => reaction.messageId))) {
      const index = this.messages.findLastIndex((message) => message.id === messageId)
      const row = this.messages[index]
      if (!row) this.#miss(messageId, prevChange + 1)
      else if (row.change < change) {
        const own = reactions.filter((reaction) => reaction.messageId === messageId)
        this.messages[index] = { ...withReactions(row, own), change }
      }
    }
  }

  /** Lifts someone's positions. */
  raise({ userId, lastReadSeq, lastDeliveredSeq }: Receipt): void {
    const { participants } = this.conversation
    const index = participants.findIndex((participant) => participant.userId === userId)
    const own = participants[index]
    if (own) participants[index] = raised(own, { lastReadSeq, lastDeliveredSeq })
    if (userId === this.#userId) this.readUpTo(lastReadSeq)
  }

  /** Lifts one's own read position. `unreadMentions` is the server's count, for where the copy cannot count itself. */
  readUpTo(seq: number, unreadMentions = this.conversation.unreadMentions): void {
    const { conversation } = this
    if (seq < conversation.lastReadSeq) return
    conversation.lastReadSeq = seq
    conversation.unreadMentions = this.#countMentions() ?? unreadMentions
  }

  /** Takes people who joined, left or have another role, as of `change`. */
  takeParticipants(changed: Participant[], participantCount: number, change: number): void {
    if (change <= this.#sharedAt) return
    const { conversation } = this
    const hasAll = conversation.participants.length >= conversation.participantCount
    for (const row of changed) {
      const index = conversation.participants.findIndex(({ userId }) => userId === row.userId)
      const own = conversation.participants[index]
      if (own) conversation.participants.splice(index, 1, ...(row.leftAt ? [] : [raised(row, own)]))
      else if (hasAll && !row.leftAt) conversation.participants.push(row)
    }
    conversation.participantCount = participantCount
    this.#sharedAt = change
  }

  /** Takes the name and avatar that a person has from now on; says whether the person is shown here. */
  takeFace({ userId, username, displayName, avatarUrl }: Face): boolean {
    const { participants } = this.conversation
    const index = participants.findIndex((participant) => participant.userId === userId)
    const own = participants[index]
    if (!own) return false
    const { avatarUrl: _, ...others } = own
    participants[index] = { ...others, username, displayName, ...(avatarUrl !== undefined && { avatarUrl }) }
    return true
  }

  /** Takes what is the same for all participants from a Conversation, unless it is older than what is known. */
  takeShared(next: SharedConversation, change = next.lastChange): void {
    if (change < this.#sharedAt) return
    const { settings, lastReadSeq, unreadCount, unreadMentions, lastSeq, lastMessage, participants } = this.conversation
    const own = new Map(participants.map((participant) => [participant.userId, participant]))
    this.conversation = {
      ...next,
      settings,
      lastReadSeq,
      unreadCount,
      unreadMentions,
      lastSeq: Math.max(next.lastSeq, lastSeq),
      lastMessage: newer(next.lastMessage, lastMessage),
      participants: next.participants.map((row) => raised(row, own.get(row.userId))),
    }
    this.#sharedAt = change
  }

  /** Takes one's own settings and position. */
  takeState(state: Pick<Conversation, 'settings' | 'lastReadSeq' | 'unreadMentions'>): void {
    this.conversation.settings = state.settings
    this.readUpTo(state.lastReadSeq, state.unreadMentions)
  }

  /**
   * Puts a page of older messages, loaded as `before`, in front. Says false and takes nothing if the page does not fit
   * any more: the copy was reset meanwhile, or news of one of its rows came that the page does not hold yet.
   */
  takeHistory(before: number, rows: Message[], hasBefore: boolean): boolean {
    if (before !== this.from || rows.some((row) => row.change < (this.#missed.get(row.id) ?? 0))) return false
    for (const row of rows) this.#missed.delete(row.id)
    this.messages.unshift(...rows)
    for (const row of rows) this.#watch(row)
    this.from = hasBefore ? (rows[0]?.seq ?? this.from) : 1
    return true
  }

  reach(change: number): void {
    this.change = Math.max(this.change, change)
  }

  /** Brings what follows from the rest up to date; to be called once after each group of changes. */
  summarize(): void {
    const { conversation } = this
    this.conversation = {
      ...conversation,
      lastChange: this.change,
      lastMessage: newer(this.messages.at(-1), conversation.lastMessage),
      unreadCount: Math.max(0, conversation.lastSeq - conversation.lastReadSeq),
      unreadMentions: conversation.unreadMentions,
      participants: [...conversation.participants],
    }
  }

  /** What replies show of a message follows it, without a change of their own. */
  #quote({ id, content }: Message): void {
    const excerpt = Array.from(content.slice(0, 2 * excerptLength))
      .slice(0, excerptLength)
      .join('')
    for (const [index, message] of this.messages.entries()) {
      if (message.replyTo?.id !== id || message.replyTo.excerpt === excerpt) continue
      this.messages[index] = { ...message, replyTo: { ...message.replyTo, excerpt } }
    }
  }

  #watch(row: Message): void {
    if (isStreaming(row)) this.#growing.set(row.id, row.seq)
    else this.#growing.delete(row.id)
  }

  /** Where the message of this seq is, or would be. */
  #placeOf(seq: number): number {
    let [low, high] = [0, this.messages.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.messages[middle]?.seq ?? 0) < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  #miss(messageId: string, change: number): void {
    this.#missed.set(messageId, Math.max(change, this.#missed.get(messageId) ?? 0))
  }

  #unreadMentionsIn(row: Message): number {
    return row.seq > this.conversation.lastReadSeq && row.mentions?.includes(this.#userId) ? 1 : 0
  }

  /** Undefined where unread messages lie below what is loaded. */
  #countMentions(): number | undefined {
    const { lastReadSeq } = this.conversation
    if (lastReadSeq < this.from - 1) return undefined
    let count = 0
    for (let i = this.messages.length - 1; i >= 0; i--) {
      const row = this.messages[i]
      if (!row || row.seq <= lastReadSeq) break
      count += this.#unreadMentionsIn(row)
    }
    return count
  }
}

type Positions = Pick<Participant, 'lastReadSeq' | 'lastDeliveredSeq'>

function raised(participant: Participant, { lastReadSeq, lastDeliveredSeq }: Positions = participant): Participant {
  return {
    ...participant,
    lastReadSeq: Math.max(participant.lastReadSeq, lastReadSeq),
    lastDeliveredSeq: Math.max(participant.lastDeliveredSeq, lastDeliveredSeq),
  }
}
