import type { Attachment } from '../media/media.contract.ts'
import type { Message } from '../messenger/messenger.contract.ts'
import { type AddressedMessages, createAddressedMessages } from './agent.inbox.ts'
import { type AgentStream, createAgentStream, type ReplyStream } from './agent.stream.ts'
import { callRest } from './http.ts'
import { createMediaUrls, type MediaUrlOf } from './media.urls.ts'
import { createMessaging, type MessagingOptions } from './messaging.ts'
import { createServerClock } from './server.clock.ts'
import { CommandFailed, type SocketInput, unavailable } from './socket.ts'
import { memoryStorage } from './storage.ts'
import type { Store } from './store.ts'
import { sendFile, type UploadOptions } from './upload.ts'

export interface Reply {
  /**
   * Sends a whole message, with uploads of the agent's; resolves once it is stored. In a group it is a reply to the
   * message.
   */
  send(text: string, attachments?: Attachment[]): Promise<void>
  /** Begins a message whose text grows; of these the agent has one at a time in a conversation. */
  stream(): ReplyStream
}

export interface AgentOptions extends MessagingOptions {
  /** The agent's key, `kag_…`. */
  key: string
  /**
   * Called for each message that asks the agent: in a direct conversation every one of somebody else, in a group those
   * that mention it or reply to it. In a conversation one at a time, in order. A stream that is open when it is done is
   * finished, or failed (`agent_failed`) where it throws.
   *
   * Each message comes once. One that was being answered when the process ended comes again after a restart with the
   * same `storage`, and goes on in the message that was begun: text of which the server has the length is not sent again.
   */
  onMessage(message: Message, reply: Reply): void | Promise<void>
  /** What `onMessage` threw, or why the server refuses the key. Unless given, it surfaces as an uncaught error. */
  onError?(error: unknown, message?: Message): void
}

export interface Agent {
  /** Resolves once connected and ready for messages; rejects with {@link CommandFailed} where the key is refused. */
  readonly ready: Promise<void>
  /** The agent's conversations, such as for the context of a message. */
  readonly store: Store
  /** Uploads a file, to be sent within a day. Throws `ApiError`, or the reason of the signal. */
  upload(file: Blob, options?: UploadOptions): Promise<Attachment>
  /** An absolute address that can be loaded now, for any that messages have. Throws `ApiError`. */
  mediaUrl: MediaUrlOf
  /** Ends all activity. What was being answered is left as it is, for the next start. */
  close(): Promise<void>
}

/** An external agent: connects by its key, stays connected, and answers. */
export function createAgent(options: AgentOptions): Agent {
  const { url, key, onMessage, storage = memoryStorage() } = options
  const streams = new Set<AgentStream>()
  const messaging = createMessaging({
    ...options,
    storage,
    auth: { agentKey: key },
    onRefused(reason) {
      const refused = new CommandFailed({ ...reason, retryable: false })
      void close(refused)
      tell(refused)
    },
  })
  let inbox: AddressedMessages | undefined
  let isClosed = false

  const clock = createServerClock()
  const mediaUrl = createMediaUrls({
    url,
    clock,
    get: (id) =>
      callRest(url, fetch, { method: 'GET', path: `/v1/attachments/${id}`, token: key }) as Promise<Attachment>,
  })
  messaging.on('connected', ({ serverTime }) => clock.learn(serverTime))
  messaging.on('stream:stop', ({ messageId }) => {
    for (const stream of streams) if (stream.messageId === messageId) stream.stop()
  })

  function tell(error: unknown, message?: Message): void {
    try {
      if (!options.onError) throw error
      options.onError(error, message)
    } catch (uncaught) {
      // It must not keep the agent from its other messages.
      queueMicrotask(() => {
        throw uncaught
      })
    }
  }

  async function start(): Promise<void> {
    const { userId } = await messaging.connect()
    inbox = await createAddressedMessages({ messaging, storage, userId, handle })
  }

  /** Says whether the message is done with. */
  async function handle(message: Message, isDirect: boolean): Promise<boolean> {
    const begun: AgentStream[] = []
    try {
      await onMessage(message, replyTo(message, isDirect, begun))
      for (const stream of begun) if (stream.isOpen) await stream.finish()
    } catch (error) {
      if (!isClosed) tell(error, message)
      for (const stream of begun) if (stream.isOpen) await stream.fail('agent_failed')
    }
    for (const stream of begun) streams.delete(stream)
    return !isClosed
  }

  /** What is begun bears names that follow from the message's: handled again, it begins nothing twice. */
  function replyTo({ id, conversationId }: Message, isDirect: boolean, begun: AgentStream[]): Reply {
    let count = 0
    const begin = (): SocketInput<'stream:start'> => ({
      conversationId,
      clientId: `${id}.${++count}`,
      ...(!isDirect && { replyToId: id }),
    })
    return {
      async send(text, attachments) {
        const { conversationId: _, ...how } = begin()
        const { acknowledged } = messaging.send(conversationId, text, { ...how, ...(attachments && { attachments }) })
        await acknowledged.catch((error: CommandFailed) => {
          // An earlier run has sent another text: the message is answered.
          if (error.code !== 'idempotency_conflict') throw error
        })
      },
      stream() {
        const stream = createAgentStream(messaging.command, begin())
        if (isClosed) stream.stop()
        begun.push(stream)
        streams.add(stream)
        return stream
      },
    }
  }

  async function close(reason: Error): Promise<void> {
    isClosed = true
    inbox?.close()
    for (const stream of streams) stream.stop()
    await messaging.leave(reason)
  }

  const ready = start()
  // Who does not wait hears of it by `onError`.
  ready.catch(() => {})
  return {
    ready,
    store: messaging.store,
    mediaUrl,
    upload: (file, how = {}) => sendFile(url, fetch, { ...how, file, token: key }),
    close: () => close(unavailable('The agent was closed.')),
  }
}
