import type { Message } from '../messenger/messenger.contract.ts'
import { backoffMs } from './backoff.ts'
import type { ConversationCopy } from './conversation.copy.ts'
import { isStreaming } from './message.rows.ts'
import type { Messaging } from './messaging.ts'
import { type KeyValueStorage, storedValue } from './storage.ts'

/** So many messages of agents may follow on each other before a person has to speak again. */
const maxAgentTurns = 3
const retry = { minMs: 500, maxMs: 10_000 }

/** How far an agent is in a conversation: everything up to `seq` is done with, but `open`, which still grew then. */
interface Position {
  seq: number
  open: number[]
}

export interface AddressedMessages {
  close(): void
}

/**
 * Finds the messages that ask an agent, those missed too, and gives each to `handle` once: in a conversation one at a
 * time, in order of seq (one that streams, once it has ended). `handle` says whether it is done; if not, the message
 * comes again after a restart. Without a stored position the agent begins with what comes from now on.
 */
export async function createAddressedMessages(deps: {
  messaging: Messaging
  storage: KeyValueStorage
  userId: string
  handle(message: Message, isDirect: boolean): Promise<boolean>
}): Promise<AddressedMessages> {
  const { messaging, userId } = deps
  const { store } = messaging
  const stored = storedValue<Record<string, Position>>(deps.storage, `kintsugi.agent.${userId}`)
  const before = await stored.read()
  const positions = new Map(Object.entries(before ?? {}))
  /** Who is an agent, of those whom a large conversation does not list. */
  const kinds = new Map<string, boolean>()
  const busy = new Set<string>()
  const stale = new Set<string>()
  let isClosed = false
  let isSaveDue = false

  /** Once for all that changes in one turn. */
  function save(): void {
    if (!isSaveDue) queueMicrotask(write)
    isSaveDue = true
  }

  async function write(): Promise<void> {
    isSaveDue = false
    await stored.write(Object.fromEntries(positions))
  }

  function look(conversationId: string): void {
    stale.add(conversationId)
    if (isClosed || busy.has(conversationId)) return
    busy.add(conversationId)
    void work(conversationId)
  }

  async function work(id: string): Promise<void> {
    for (let tries = 0; stale.delete(id) && !isClosed; ) {
      try {
        await handleNew(id)
        tries = 0
      } catch {
        // The connection was lost while older messages were loaded.
        stale.add(id)
        await new Promise((resolve) => setTimeout(resolve, backoffMs(tries++, retry)))
      }
    }
    busy.delete(id)
  }

  async function handleNew(id: string): Promise<void> {
    for (;;) {
      const copy = store.get(id)
      if (!copy) {
        if (positions.delete(id)) save()
        return
      }
      const position = positionIn(copy)
      while (copy.from > position.seq + 1 && copy === store.get(id)) await messaging.loadHistory(id, 200)
      const row = nextRow(copy, position)
      if (!row) return
      const isAsked = isAddressed(copy, row) && (await isTurn(copy, row))
      if (isAsked && !(await deps.handle(row, copy.conversation.type === 'direct'))) return
      if (isClosed) return
      pass(position, row)
    }
  }

  /** In a conversation that is new to the agent the read position is where it joined. */
  function positionIn({ conversation }: ConversationCopy): Position {
    const position = positions.get(conversation.id) ?? { seq: conversation.lastReadSeq, open: [] }
    positions.set(conversation.id, position)
    return position
  }

  /** The first row that nothing has been done about; what still grows is left for later. */
  function nextRow({ messages, from }: ConversationCopy, position: Position): Message | undefined {
    // In the middle of a sync a row may be missing: what comes after it waits.
    const at = (seq: number) => (messages[seq - from]?.seq === seq ? messages[seq - from] : undefined)
    for (const seq of position.open) {
      const row = at(seq)
      if (row && !isStreaming(row)) return row
    }
    for (let row = at(position.seq + 1); row; row = at(position.seq + 1)) {
      if (!isStreaming(row) || row.senderId === userId) return row
      position.seq = row.seq
      position.open.push(row.seq)
    }
    return undefined
  }

  function pass(position: Position, { seq }: Message): void {
    position.open = position.open.filter((open) => open !== seq)
    position.seq = Math.max(position.seq, seq)
    save()
  }

  function isAddressed({ conversation }: ConversationCopy, row: Message): boolean {
    if (row.status !== 'sent' || row.deletedAt || row.type === 'system' || row.role === 'system') return false
    if (row.senderId === undefined || row.senderId === userId) return false
    const isNamed = row.mentions?.includes(userId) || row.replyTo?.senderId === userId
    return conversation.type === 'direct' || isNamed
  }

  /** Agents that answer each other have to stop some time. */
  async function isTurn(copy: ConversationCopy, row: Message): Promise<boolean> {
    let turns = 0
    const rows = copy.messages.filter(({ seq, type, deletedAt }) => seq <= row.seq && type !== 'system' && !deletedAt)
    for (const { senderId, role } of rows.slice(-maxAgentTurns).reverse()) {
      if (role !== 'assistant' && !(await isAgent(copy, senderId))) break
      turns++
    }
    return turns < maxAgentTurns
  }

  async function isAgent({ conversation }: ConversationCopy, id: string | undefined): Promise<boolean> {
    const { participants, participantCount } = conversation
    const listed = participants.find((participant) => participant.userId === id)
    if (listed || id === undefined || participants.length >= participantCount) return listed?.kind === 'agent'
    for (let cursor: string | undefined; !kinds.has(id); ) {
      const input = { conversationId: conversation.id, limit: 200, ...(cursor !== undefined && { cursor }) }
      const page = await messaging.command('participant:list', input)
      for (const { userId: one, kind } of page.participants) kinds.set(one, kind === 'agent')
      cursor = page.nextCursor
      if (cursor === undefined && !kinds.has(id)) kinds.set(id, false)
    }
    return kinds.get(id) === true
  }

  if (!before) {
    for (const { conversation } of store.conversations()) {
      positions.set(conversation.id, { seq: conversation.lastSeq, open: [] })
    }
    await stored.write(Object.fromEntries(positions))
  }
  const unwatch = messaging.on('changed', look)
  for (const { conversation } of store.conversations()) look(conversation.id)

  return {
    close() {
      isClosed = true
      unwatch()
    },
  }
}
