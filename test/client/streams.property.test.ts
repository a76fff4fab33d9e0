import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Message } from '../../src/client/index.ts'
import { createReconciler } from '../../src/client/reconciler.ts'
import { CommandFailed } from '../../src/client/socket.ts'
import { createStore, type News } from '../../src/client/store.ts'
import { createStreams } from '../../src/client/streams.ts'
import { ModelConversation, me, seeded } from './model.ts'

type Delta = { conversationId: string; messageId: string; offset: number; text: string }
type Sent = { news: News } | { delta: Delta }

const id = 'c1'
const stepMs = 50
/** Stored text lags behind what is sent live by as much. */
const checkpointMs = 1000

/** Messages that grow, as the server has them: live text, stored text that lags, and a row at the end. */
class Writers {
  readonly model: ModelConversation
  readonly #random: () => number
  readonly #live = new Map<string, string>()
  /** While it pauses, all is stored by and by. */
  isPaused = false
  #now = 0
  #storedAt = 0

  constructor(random: () => number) {
    this.model = new ModelConversation(id, random)
    this.#random = random
    this.model.post(3, 'ann')
  }

  get isWriting(): boolean {
    return this.#live.size > 0
  }

  begin(): Sent {
    const news = this.model.post(1, 'bob')
    const row = this.#put({ ...(this.model.messages.at(-1) as Message), content: '', status: 'streaming' })
    this.#live.set(row.id, '')
    return { news: structuredClone({ ...news, payload: { ...news.payload, messages: [row] } }) }
  }

  /** 50 ms in which each may write something, or end. */
  step(isEnding: boolean): Sent[] {
    this.#now += stepMs
    const sent: Sent[] = []
    for (const [messageId, text] of this.isPaused ? [] : this.#live) {
      if (this.#random() < (isEnding ? 0.2 : 0.02)) sent.push(this.#end(messageId, text))
      else if (this.#random() < 0.7) sent.push(this.#write(messageId, text))
    }
    if (this.#now - this.#storedAt >= checkpointMs) this.#checkpoint()
    return sent
  }

  resume(messageId: string, offset: number): { text: string; offset: number; status: Message['status'] } {
    const { content, status } = this.#row(messageId)
    const from = Math.min(offset, content.length)
    return { text: content.slice(from), offset: from, status }
  }

  #write(messageId: string, text: string): Sent {
    const piece = `${Math.floor(this.#random() * 1e6).toString(36)}😀 `.slice(0, 1 + Math.floor(this.#random() * 7))
    this.#live.set(messageId, text + piece)
    return { delta: { conversationId: id, messageId, offset: text.length, text: piece } }
  }

  /** Mostly with all of the text; the end of a node takes what it had not stored. */
  #end(messageId: string, text: string): Sent {
    this.#live.delete(messageId)
    const row = this.#row(messageId)
    const isKilled = this.#random() < 0.2
    const ended = this.#put({
      ...row,
      content: isKilled ? row.content : text,
      status: isKilled ? 'failed' : 'sent',
      change: ++this.model.lastChange,
    })
    const { change } = ended
    const payload = { conversationId: id, prevChange: change - 1, change, messages: [ended] }
    return { news: structuredClone({ name: 'messages:updated', payload }) }
  }

  #checkpoint(): void {
    this.#storedAt = this.#now
    for (const [messageId, content] of this.#live) this.#put({ ...this.#row(messageId), content })
  }

  #row(messageId: string): Message {
    return this.model.messages.find((row) => row.id === messageId) as Message
  }

  #put(row: Message): Message {
    this.model.messages[row.seq - 1] = row
    return row
  }
}

/** A reader behind a channel with a will of its own: the parts of the client, as the client puts them together. */
class Reader {
  readonly store = createStore()
  readonly #writers: Writers
  readonly #random: () => number
  #underway: { at: number; sent: Sent }[] = []
  #now = 0
  isOnline = false

  readonly #streams = createStreams({
    store: this.store,
    resume: ({ messageId, offset }) => this.#answer(this.#writers.resume(messageId, offset)),
    onChanged: () => {},
    onEndMissed: () => this.#reconciler.resyncSoon(),
  })
  readonly #reconciler = createReconciler({
    store: this.store,
    sync: ({ positions }) => this.#answer(this.#writers.model.sync(positions?.[id], 500)),
    onChanged: this.#streams.look,
    onSynced: this.#streams.resume,
    onIdle: () => {},
  })

  constructor(writers: Writers, random: () => number) {
    this.#writers = writers
    this.#random = random
    this.store.reset(me)
  }

  connect(): void {
    this.isOnline = true
    this.#streams.start()
    this.#reconciler.start().catch(() => {})
  }

  disconnect(): void {
    this.isOnline = false
    this.#underway = []
    this.#reconciler.stop()
    this.#streams.stop()
  }

  reload(): void {
    this.disconnect()
    this.store.reset(me)
    this.connect()
  }

  /** What the server sends: some of it is lost, comes twice, or takes long enough to be overtaken. */
  send(sent: Sent): void {
    if (!this.isOnline) return
    const roll = this.#random()
    if (roll < 0.05) return
    const at = this.#now + (roll < 0.2 ? this.#random() * 400 : 0)
    this.#underway.push({ at, sent })
    if (roll > 0.9) this.#underway.push({ at: at + this.#random() * 2000, sent: structuredClone(sent) })
  }

  deliver(now: number): void {
    this.#now = now
    const due = this.#underway.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)
    this.#underway = this.#underway.filter(({ at }) => at > now)
    for (const { sent } of due) {
      if ('delta' in sent) this.#streams.take(sent.delta)
      else this.#reconciler.take(sent.news)
    }
  }

  resync(): void {
    if (this.isOnline) this.#reconciler.resyncSoon()
  }

  /** Read now, heard later, or never. */
  #answer<T>(read: T): Promise<T> {
    const answer = structuredClone(read)
    const isLost = !this.isOnline || this.#random() < 0.1
    const ms = this.#random() * 300
    return new Promise((resolve, reject) => {
      const failed = new CommandFailed({ code: 'unavailable', message: '', retryable: true })
      setTimeout(() => (isLost ? reject(failed) : resolve(answer)), ms)
    })
  }
}

describe('texts that stream', () => {
  /** Messages grow and end for some seconds, before three readers who come and go; then all are there. */
  async function play(t: TestContext, seed: number) {
    const random = seeded(seed)
    t.mock.method(Math, 'random', random)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const writers = new Writers(random)
    const readers = [1, 2, 3].map(() => new Reader(writers, random))
    let now = 0
    const tick = async (sent: Sent[]): Promise<void> => {
      now += stepMs
      for (const item of sent) for (const reader of readers) reader.send(structuredClone(item))
      t.mock.timers.tick(stepMs)
      for (const reader of readers) reader.deliver(now)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const texts = (reader: Reader) => {
      const { messages, from } = reader.store.get(id) ?? assert.fail('the conversation is held')
      return [messages.map((row) => [row.seq, row.status, row.content]), from]
    }
    const stored = (from: number) =>
      writers.model.messages.slice(from - 1).map((row) => [row.seq, row.status, row.content])

    readers[0]?.connect()
    readers[1]?.connect()
    for (let step = 0; step < 167; step++) {
      const sent = step % 40 === 5 ? [writers.begin()] : []
      if (random() < 0.02) readers.at(Math.floor(random() * 3))?.disconnect()
      if (random() < 0.01) readers.at(Math.floor(random() * 3))?.reload()
      if (random() < 0.05) for (const reader of readers) if (!reader.isOnline) reader.connect()
      await tick([...sent, ...writers.step(false)])
    }
    for (const reader of readers) if (!reader.isOnline) reader.connect()
    return {
      writers,
      readers,
      tick,
      texts,
      stored,
      stop: () => {
        for (const reader of readers) reader.disconnect()
        t.mock.timers.reset()
        t.mock.restoreAll()
      },
    }
  }

  it('end with exactly the stored text for every reader, whatever was lost, repeated, late or overtaken', async (t: TestContext) => {
    for (let seed = 0; seed < 60; seed++) {
      const { writers, readers, tick, texts, stored, stop } = await play(t, seed)
      while (writers.isWriting) await tick(writers.step(true))
      // The last event may be lost like any other; the server says so in the end.
      for (const reader of readers) reader.resync()
      for (let step = 0; step < 300; step++) await tick([])
      for (const reader of readers) {
        const [rows, from] = texts(reader)
        assert.deepEqual(rows, stored(from as number), `seed ${seed}`)
      }
      stop()
    }
  })

  it('reach what was written, while the writer pauses, without its end', async (t: TestContext) => {
    for (let seed = 100; seed < 140; seed++) {
      const { writers, readers, tick, texts, stored, stop } = await play(t, seed)
      writers.isPaused = true
      for (const reader of readers) reader.resync()
      for (let step = 0; step < 400; step++) await tick(writers.step(false))
      for (const reader of readers) {
        const [rows, from] = texts(reader)
        assert.deepEqual(rows, stored(from as number), `seed ${seed}`)
      }
      stop()
    }
  })
})
