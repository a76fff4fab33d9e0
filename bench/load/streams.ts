import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import type { StreamsJob, StreamsResult } from '../jobs.ts'
import { cpuSeconds, percentile } from '../measure.ts'
import { openClient } from './client.ts'

/** The beginnings of the answers are spread over this time, as people ask. */
const beginMs = 1_000
const answerWithinMs = 60_000

/**
 * Everyone asks a model in a conversation of their own, and reads the answer as it grows. Half of the answers are twice as
 * long as the others, which shows whether what is sent grows with the text alone.
 */
export async function runStreams(job: StreamsJob): Promise<StreamsResult> {
  const readers = await Promise.all(
    job.world.people.map(async (_, person) => {
      const socket = await openClient(job.urls, job.world, person)
      const { id } = await socket.command('conversation:create', { type: 'assistant', models: [job.model] })
      return { socket, conversationId: id, tokens: person % 2 === 0 ? job.tokens : job.tokens / 2 }
    }),
  )
  const latencies: number[] = []
  const before = meters(job.pids)
  const outcomes = await Promise.all(
    readers.map(async ({ socket, conversationId, tokens }) => {
      await delay(Math.random() * beginMs)
      const answer = Promise.withResolvers<Message>()
      const heard = { text: '', bytes: 0, deltas: 0 }
      socket.on('stream:delta', (payload) => {
        const now = Date.now()
        heard.text += payload.text
        heard.deltas++
        heard.bytes += JSON.stringify(['stream:delta', payload]).length
        for (const sentAt of payload.text.split(' ')) if (sentAt !== '') latencies.push(now - Number(sentAt))
      })
      socket.on('messages:updated', ({ messages: [message] }) => message && answer.resolve(message))
      await socket.command('message:send', { conversationId, clientId: randomUUID(), content: `${tokens} tokens` })
      const message = await Promise.race([answer.promise, delay(answerWithinMs, undefined)])
      const failure = message ? message.error : 'no end in time'
      const isWhole = message?.content === heard.text && heard.text !== ''
      return { ...heard, failure, isLong: tokens === job.tokens, isWhole }
    }),
  )
  const after = meters(job.pids)
  for (const { socket } of readers) socket.close()
  const bytesPerCharacter = (isLong: boolean): number => {
    const those = outcomes.filter((outcome) => outcome.isLong === isLong)
    return sum(those.map(({ bytes }) => bytes)) / sum(those.map(({ text }) => text.length))
  }
  return {
    streams: outcomes.length,
    whole: outcomes.filter(({ isWhole }) => isWhole).length,
    failures: [...new Set(outcomes.flatMap(({ failure }) => failure ?? []))],
    tokens: latencies.length,
    deltas: sum(outcomes.map(({ deltas }) => deltas)),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    bytesPerCharacter: { short: bytesPerCharacter(false), long: bytesPerCharacter(true) },
    seconds: after.at - before.at,
    serverCpu: after.server - before.server,
  }
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)

const meters = (pids: number[]) => ({
  at: performance.now() / 1000,
  server: sum(pids.map(cpuSeconds)),
})
