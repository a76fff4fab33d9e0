import type { Message, PendingMessage } from '../../../src/client/index.ts'

/** Messages that are stored, as one row of the list. */
export interface MessageRow {
  kind: 'messages'
  /** Of one's own messages the same as while they were pending. */
  key: string
  /** One, or the answers of several models to one question. */
  messages: readonly Message[]
  /** When, where a day begins. */
  day: string | undefined
  isFirstUnread: boolean
  /** Whether it says who speaks; else it goes on from the row before. */
  startsGroup: boolean
}

/** A message of one's own that is not stored yet. */
export interface PendingRow {
  kind: 'pending'
  key: string
  pending: PendingMessage
  startsGroup: boolean
}

export type Row = MessageRow | PendingRow

export interface RowOptions {
  userId: string
  /** Where the mark "new messages" stands. */
  firstUnreadSeq: number | undefined
  /** Whether answers that follow each other make one row. */
  isComparison: boolean
}

/** Messages of one sender that follow each other within this time belong together, in milliseconds. */
const groupMs = 5 * 60_000

/**
 * Gives the rows of a conversation's messages, again and again as these change. Messages are compared by reference and
 * the rows of unchanged ones stay the same objects: a piece of text more makes one new row, whatever the number of others.
 */
export function createRows(options: RowOptions): (messages: readonly Message[]) => readonly MessageRow[] {
  let rows: readonly MessageRow[] = []
  return (messages) => {
    const [headRows, headMessages] = keptFromStart(rows, messages)
    const [tailRows, tailMessages] = keptFromEnd(rows, messages, headRows, headMessages)
    if (headMessages === messages.length && headRows === rows.length) return rows
    // what is beside a change may look different by it
    const firstRow = Math.max(0, headRows - 1)
    const lastRow = Math.min(rows.length, rows.length - tailRows + 1)
    const first = firstRow < headRows ? headMessages - (rows[firstRow]?.messages.length ?? 0) : headMessages
    const after = messages.length - tailMessages
    const last = tailRows > 0 ? after + (rows[lastRow - 1]?.messages.length ?? 0) : after
    rows = [...rows.slice(0, firstRow), ...build(messages, first, last, options), ...rows.slice(lastRow)]
    return rows
  }
}

/** How many rows from the first on, and messages in them, are as they were. */
function keptFromStart(rows: readonly MessageRow[], messages: readonly Message[]): [number, number] {
  let kept = 0
  for (const [index, row] of rows.entries()) {
    if (row.messages.some((message, offset) => messages[kept + offset] !== message)) return [index, kept]
    kept += row.messages.length
  }
  return [rows.length, kept]
}

function keptFromEnd(
  rows: readonly MessageRow[],
  messages: readonly Message[],
  headRows: number,
  headMessages: number,
): [number, number] {
  let kept = 0
  for (let index = rows.length - 1; index >= headRows; index--) {
    const own = rows[index]?.messages ?? []
    const start = messages.length - kept - own.length
    if (start < headMessages || own.some((message, offset) => messages[start + offset] !== message))
      return [rows.length - 1 - index, kept]
    kept += own.length
  }
  return [rows.length - headRows, kept]
}

function build(messages: readonly Message[], first: number, last: number, options: RowOptions): MessageRow[] {
  const built: MessageRow[] = []
  let at = first
  while (at < last) {
    const next = options.isComparison ? endOfAnswers(messages, at, last) : at + 1
    built.push(rowOf(messages.slice(at, next), messages[at - 1], options))
    at = next
  }
  return built
}

function endOfAnswers(messages: readonly Message[], from: number, last: number): number {
  let end = from + 1
  if (messages[from]?.role !== 'assistant') return end
  while (end < last && messages[end]?.role === 'assistant') end++
  return end
}

function rowOf(messages: Message[], before: Message | undefined, options: RowOptions): MessageRow {
  const [message] = messages as [Message, ...Message[]]
  const startsDay = !before || dayOf(before.createdAt) !== dayOf(message.createdAt)
  const isFirstUnread = messages.some(({ seq }) => seq === options.firstUnreadSeq)
  const goesOn = before !== undefined && !startsDay && !isFirstUnread && isOneGroup(before, message)
  return {
    kind: 'messages',
    key: keyOf(message, options.userId),
    messages,
    day: startsDay ? message.createdAt : undefined,
    isFirstUnread,
    startsGroup: !goesOn,
  }
}

function isOneGroup(before: Message, message: Message): boolean {
  const isSpoken = before.type !== 'system' && message.type !== 'system'
  const isSameSpeaker =
    before.senderId === message.senderId && before.role === message.role && before.modelId === message.modelId
  return isSpoken && isSameSpeaker && Date.parse(message.createdAt) - Date.parse(before.createdAt) < groupMs
}

const dayOf = (at: string): string => new Date(at).toDateString()

const keyOf = ({ id, clientId, senderId }: Message, userId: string): string =>
  clientId !== undefined && senderId === userId ? `own ${clientId}` : id

/** The rows below the stored ones. `last`: the newest stored message. */
export function pendingRows(
  pending: readonly PendingMessage[],
  last: Message | undefined,
  userId: string,
): PendingRow[] {
  const followsOwn =
    last?.senderId === userId &&
    pending[0] !== undefined &&
    Date.parse(pending[0].createdAt) - Date.parse(last.createdAt) < groupMs
  return pending.map((message, index) => ({
    kind: 'pending',
    key: `own ${message.clientId}`,
    pending: message,
    startsGroup: index === 0 && !followsOwn,
  }))
}

/** Which row shows the message of this seq, or the next one there is; -1 where it would be before the first row. */
export function rowIndexOf(rows: readonly MessageRow[], seq: number): number {
  const [first] = rows
  if (!first || seq < (first.messages[0]?.seq ?? 0)) return -1
  let [low, high] = [0, rows.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rows[middle]?.messages.at(-1)?.seq ?? 0) < seq) low = middle + 1
    else high = middle
  }
  return low
}
