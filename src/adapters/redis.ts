import { createAdapter } from '@socket.io/redis-adapter'
import { Redis, type RedisOptions } from 'ioredis'
import type { Logger } from 'pino'
import { type IRateLimiterOptions, type RateLimiterAbstract, RateLimiterRedis } from 'rate-limiter-flexible'
import type { NodeLink } from '../kernel/ports.ts'

/** A command that takes longer has failed: a stopped Redis answers nothing, and nobody waits for it. */
const commandTimeoutMs = 1_000
/** A node's presence outlives its last heartbeat by this much, so that the others can see whom it took along. */
const presenceLifeMs = 30_000
const forgetNodeMs = 60_000

/**
 * Says that a node is alive, by the clock of Redis, so that the nodes' own clocks do not matter.
 * KEYS nodes, own presence; ARGV own id, life of presence, when to forget. Returns [now, node, its last beat, …].
 */
const beatScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return { tostring(now), unpack(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) }`

/**
 * The connections to Redis and what the nodes keep there. Nothing of it is the truth of anything: Redis may be absent,
 * stopped or emptied at any time.
 */
export function createRedis(options: {
  url: string
  /** Of all keys and channels: what keeps this system apart from others on the same Redis. */
  prefix: string
  nodeId: string
  log: Logger
}): NodeLink & {
  /** For the option `adapter` of the Socket.IO server. */
  adapter: ReturnType<typeof createAdapter>
  /** A rate limiter whose counters all nodes share; where Redis fails, `insurance` counts. */
  limiter(options: IRateLimiterOptions, insurance: RateLimiterAbstract): RateLimiterAbstract
} {
  const { url, nodeId, log } = options
  const prefix = `${options.prefix}:`
  const nodesKey = `${prefix}nodes`
  const channel = `${prefix}told`
  /** Stands before each text on the channel: Redis hands everyone their own back. */
  const origin = Buffer.from(`${nodeId}\n`)
  const presenceKey = (node: string) => `${prefix}presence:${node}`
  const shared: RedisOptions = {
    retryStrategy: (attempt) => Math.min(50 * attempt, 500),
    connectTimeout: 2_000,
    maxRetriesPerRequest: null,
  }
  // the subscriber keeps its offline queue: without it subscriptions made before the connection would be lost
  const subscriber = new Redis(url, { ...shared, autoResubscribe: true })
  const publisher = new Redis(url, { ...shared, enableOfflineQueue: false })
  const commands = new Redis(url, { ...shared, enableOfflineQueue: false, commandTimeout: commandTimeoutMs })

  let reported = ''
  const clients = { subscriber, publisher, commands }
  for (const [name, client] of Object.entries(clients)) {
    client.on('error', (error: Error) => {
      // a Redis that is away fails at every attempt: say it once
      if (reported === error.message) return
      reported = error.message
      log.warn({ client: name, reason: error.message }, 'Redis does not answer')
    })
    client.on('ready', () => {
      reported = ''
    })
  }

  // the adapter does not look at the promise of a publication, and an unhandled rejection would end the process
  const publish = publisher.publish.bind(publisher) as (channel: string, message: string | Buffer) => Promise<number>
  let publishing = true
  // the subscriber says it again after a break
  subscriber.subscribe(channel).catch((error: unknown) => log.warn({ err: error }, 'Redis took no subscription'))
  publisher.publish = ((channel: string, message: string | Buffer) =>
    publishing ? publish(channel, message).catch(() => 0) : Promise.resolve(0)) as typeof publisher.publish

  return {
    adapter: createAdapter(publisher, subscriber, { key: `${prefix}sockets`, requestsTimeout: 1_500 }),
    limiter: (limit, insuranceLimiter) =>
      new RateLimiterRedis({
        ...limit,
        keyPrefix: `${prefix}${limit.keyPrefix}`,
        storeClient: commands,
        insuranceLimiter,
      }),

    setPublishing(on) {
      publishing = on
    },
    onBreak(listener) {
      subscriber.on('close', listener)
      publisher.on('close', listener)
    },
    isListening: () => subscriber.status === 'ready' && publisher.status === 'ready',
    tell: (text) => void publisher.publish(channel, `${nodeId}\n${text}`),
    onTold(listener) {
      subscriber.on('messageBuffer', (name: Buffer, message: Buffer) => {
        if (name.toString() !== channel || message.subarray(0, origin.length).equals(origin)) return
        listener(message.toString('utf8', message.indexOf('\n') + 1))
      })
    },

    async beat() {
      const reply = (await commands.eval(
        beatScript,
        2,
        nodesKey,
        presenceKey(nodeId),
        nodeId,
        presenceLifeMs,
        forgetNodeMs,
      )) as string[]
      const now = Number(reply[0])
      const ages = new Map<string, number>()
      for (let i = 1; i + 1 < reply.length; i += 2) ages.set(reply[i] as string, now - Number(reply[i + 1]))
      return ages
    },

    async goodbye() {
      await commands.pipeline().zrem(nodesKey, nodeId).del(presenceKey(nodeId)).exec()
    },

    presence: {
      async add(userIds) {
        if (userIds.length > 0) await commands.sadd(presenceKey(nodeId), ...userIds)
      },
      async remove(userId) {
        await commands.srem(presenceKey(nodeId), userId)
      },
      async among(nodeIds, userIds) {
        if (nodeIds.length === 0 || userIds.length === 0) return new Set()
        const pipeline = commands.pipeline()
        for (const node of nodeIds) pipeline.smismember(presenceKey(node), ...userIds)
        const replies = (await pipeline.exec()) ?? []
        const online = new Set<string>()
        for (const [, flags] of replies) {
          for (const [i, flag] of ((flags as number[] | null) ?? []).entries())
            if (flag === 1) online.add(userIds[i] as string)
        }
        return online
      },
      of: (node) => commands.smembers(presenceKey(node)),
    },

    close() {
      for (const client of Object.values(clients)) client.disconnect()
    },
  }
}
