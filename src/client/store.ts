import type {
  CommandInput,
  Conversation,
  EventPayload,
  Face,
  Message,
  MessengerEvent,
  Sent,
  SyncOutput,
} from '../messenger/messenger.contract.ts'
import { ConversationCopy, type Delta, type Growth } from './conversation.copy.ts'

export type SendInput = CommandInput<'message:send'>

type StoredEvent = Exclude<MessengerEvent, 'typing' | 'presence:changed' | 'stream:delta'>

/** What changes the store: events, and the acknowledgments of one's own commands. */
export type News =
  | { [K in StoredEvent]: { name: K; payload: EventPayload<K> } }[StoredEvent]
  /** A message of one's own was stored. */
  | { name: 'sent'; payload: { conversationId: string; input: SendInput; sent: Sent } }
  /** A command of one's own took the conversation to `change`; the rows come by the event, which leaves before. */
  | { name: 'reached'; payload: { conversationId: string; change: number } }

type NewsOf<K extends News['name']> = Extract<News, { name: K }>
/** What moves a conversation's change. */
type ChangeNews = Exclude<
  News,
  { name: 'conversation:created' | 'conversation:removed' | 'receipts:changed' | 'conversation:state' | 'user:changed' }
>

/** 'gap': something before it is missing; nothing was taken, and it has to be offered again. */
export type Outcome = 'applied' | 'gap'

/**
 * The client's copy of its conversations; no I/O. Applying news twice, or late, is harmless. What is not held (a
 * conversation that ended, messages before the loaded ones) is never made up from news.
 */
export interface Store {
  /** Pinned first, then by newest activity. */
  conversations(): ConversationCopy[]
  get(conversationId: string): ConversationCopy | undefined
  /** The ids of the conversations whose copy has this user among its participants. */
  showing(userId: string): string[]
  /** The change reached in each conversation: the input of `sync`. */
  positions(): Record<string, number>
  apply(news: News): Outcome
  /** Takes a piece of a growing text. */
  grow(delta: Delta): Growth
  /** Takes a page of `sync` and gives the ids of the conversations that it touched. */
  applySync(page: SyncOutput): string[]
  /** Forgets all and begins anew for another user. */
  reset(userId: string): void
}

export function createStore(): Store {
  const copies = new Map<string, ConversationCopy>()
  let me = ''
  /**
   * Between two pages of a sync a row that is yet to come may lack changes below the position reached. A reaction put on
   * top of such a row would make it look newer than it is, and so keep out the right one.
   */
  let isPartial = false

  function insert(conversation: Conversation, rows: Message[], change: number): ConversationCopy {
    const copy = new ConversationCopy(conversation, me, rows, change)
    copies.set(conversation.id, copy)
    return copy
  }

  function takeConversation(conversation: Conversation): void {
    const copy = copies.get(conversation.id)
    if (!copy) {
      insert(conversation, [], conversation.lastChange)
      return
    }
    copy.takeShared(conversation)
    copy.takeState(conversation)
    copy.summarize()
  }

  function apply(news: News): Outcome {
    switch (news.name) {
      case 'conversation:created':
        takeConversation(news.payload)
        return 'applied'
      case 'conversation:removed':
        copies.delete(news.payload.conversationId)
        return 'applied'
      case 'receipts:changed':
      case 'conversation:state':
        applyState(news)
        return 'applied'
      case 'user:changed':
        for (const id of takeFaces([news.payload.user])) copies.get(id)?.summarize()
        return 'applied'
      default:
        return applyChange(news)
    }
  }

  /** Positions and states bear no change number: those of a conversation that is not held come with it whole. */
  function applyState(news: NewsOf<'receipts:changed' | 'conversation:state'>): void {
    const copy = copies.get(news.payload.conversationId)
    if (!copy) return
    if (news.name === 'conversation:state') copy.takeState(news.payload)
    else for (const receipt of news.payload.receipts) copy.raise(receipt)
    copy.summarize()
  }

  /**
   * Gives the ids of the conversations that show any of these. A face bears no number: the one that comes last wins, so
   * an older event that comes after a newer one, or after a newer sync, stands until the next.
   */
  function takeFaces(faces: Face[] = []): string[] {
    const showsOne = (copy: ConversationCopy) => faces.filter((face) => copy.takeFace(face)).length > 0
    return [...copies].filter(([, copy]) => showsOne(copy)).map(([id]) => id)
  }

  function showing(userId: string): string[] {
    const shows = ({ conversation }: ConversationCopy) => conversation.participants.some((one) => one.userId === userId)
    return [...copies].filter(([, copy]) => shows(copy)).map(([id]) => id)
  }

  function applyChange(news: ChangeNews): Outcome {
    const copy = copies.get(news.payload.conversationId)
    if (!copy) return 'gap'
    const reached = news.name === 'sent' ? news.payload.sent.change : news.payload.change
    const prevChange = previousOf(news)
    if (isPartial || prevChange === undefined) return copy.change >= reached ? 'applied' : 'gap'
    if (prevChange > copy.change) return 'gap'
    takeRows(copy, news)
    copy.reach(reached)
    copy.summarize()
    return 'applied'
  }

  /** Undefined where the news bears no rows, or not the whole of them: it then only says how far the server is. */
  function previousOf(news: ChangeNews): number | undefined {
    if (news.name === 'reached') return undefined
    if (news.name !== 'sent') return news.payload.prevChange
    return sentRow(news.payload, me) && news.payload.sent.prevChange
  }

  function takeRows(copy: ConversationCopy, news: ChangeNews): void {
    switch (news.name) {
      case 'sent': {
        const row = sentRow(news.payload, me)
        if (row) copy.put(row)
        break
      }
      case 'messages:created':
      case 'messages:updated':
        for (const row of news.payload.messages) copy.put(row)
        break
      case 'reactions:changed':
        copy.react(news.payload)
        break
      case 'participants:changed':
        copy.takeParticipants(news.payload.participants, news.payload.participantCount, news.payload.change)
        break
      case 'conversation:updated': {
        const { change, conversation } = news.payload
        copy.takeShared(conversation, Math.max(change, conversation.lastChange))
      }
    }
  }

  function applySync(page: SyncOutput): string[] {
    for (const id of page.removed) copies.delete(id)
    replaceCopies(page)
    for (const row of page.messages) copies.get(row.conversationId)?.put(row)
    // After the rows: the state counts the unread mentions in them too.
    for (const conversation of page.conversations) {
      copies.get(conversation.id)?.takeShared(conversation)
      copies.get(conversation.id)?.takeState(conversation)
    }
    for (const receipt of page.receipts) copies.get(receipt.conversationId)?.raise(receipt)
    for (const [id, change] of Object.entries(page.positions)) copies.get(id)?.reach(change)
    isPartial = page.hasMore
    // Read after the conversations, and so newer than the names in them.
    const touched = new Set([...page.removed, ...takeFaces(page.users)])
    for (const { id } of page.conversations) touched.add(id)
    for (const { conversationId } of [...page.messages, ...page.receipts]) touched.add(conversationId)
    for (const [id, copy] of copies) if (touched.has(id) || copy.change > copy.conversation.lastChange) copy.summarize()
    return [...touched]
  }

  function replaceCopies({ conversations, messages, positions, resets }: SyncOutput): void {
    const isReset = new Set(resets)
    for (const conversation of conversations) {
      const copy = copies.get(conversation.id)
      const position = positions[conversation.id] ?? conversation.lastChange
      // A copy that live events took at least as far while the answer was on its way is the newer of the two.
      if (copy && (!isReset.has(conversation.id) || copy.change >= position)) continue
      const rows = messages.filter((row) => row.conversationId === conversation.id)
      const fresh = insert(conversation, rows, position)
      // Its texts that stream are as last stored, which may be less than was heard.
      const heard = (own: Message) => fresh.streaming.some((row) => row.id === own.id && row.change === own.change)
      for (const own of copy?.streaming ?? []) if (heard(own)) fresh.put(own)
    }
  }

  return {
    apply,
    applySync,
    showing,
    grow: (delta) => copies.get(delta.conversationId)?.grow(delta) ?? 'absent',
    get: (conversationId) => copies.get(conversationId),
    positions: () => Object.fromEntries([...copies].map(([id, copy]) => [id, copy.change])),
    conversations: () => [...copies.values()].sort(byActivity),
    reset(userId) {
      copies.clear()
      isPartial = false
      me = userId
    },
  }
}

/** The row of one's own message; undefined where the server made a part of it and did not send it along. */
function sentRow({ input, sent }: NewsOf<'sent'>['payload'], senderId: string): Message | undefined {
  if (sent.message) return sent.message
  if (input.replyToId || input.forward || input.attachmentIds?.length) return undefined
  return {
    id: sent.id,
    conversationId: input.conversationId,
    seq: sent.seq,
    change: sent.change,
    clientId: input.clientId,
    senderId,
    role: 'user',
    type: input.type ?? 'text',
    content: input.content ?? '',
    status: 'sent',
    createdAt: sent.createdAt,
  }
}

function byActivity({ conversation: a }: ConversationCopy, { conversation: b }: ConversationCopy): number {
  if (a.settings.isPinned !== b.settings.isPinned) return a.settings.isPinned ? -1 : 1
  const [aAt, bAt] = [a.lastMessage?.createdAt ?? a.createdAt, b.lastMessage?.createdAt ?? b.createdAt]
  if (aAt === bAt) return 0
  return aAt > bAt ? -1 : 1
}
