/** The typed client of Kintsugi, for browsers and Node. `createClient` is all of it; the rest are its parts. */

export type { RunCommand, RunInput, RunOutput } from '../agents/agents.contract.ts'
export type { Me, Session, Tokens, User } from '../identity/identity.contract.ts'
export type { CommandError, ErrorCode, FieldError } from '../kernel/errors.ts'
export type { Attachment } from '../media/media.contract.ts'
export type {
  CommandInput,
  CommandOutput,
  Conversation,
  ConversationSettings,
  EventPayload,
  Face,
  Message,
  MessengerCommand,
  MessengerEvent,
  Participant,
  Presence,
  Receipt,
  Sent,
  SharedConversation,
  SyncOutput,
} from '../messenger/messenger.contract.ts'
export type { Story, StoryEvent, StoryRing, StoryView } from '../stories/stories.contract.ts'
export type { SessionReady } from '../transport/session.contract.ts'
export type { ReplyStream, StreamUsage } from './agent.stream.ts'
export { type Agent, type AgentOptions, createAgent, type Reply } from './agent.ts'
export { type Client, type ClientCommand, type ClientEvents, type ClientOptions, createClient } from './client.ts'
export type { ConversationCopy } from './conversation.copy.ts'
export { ApiError } from './http.ts'
export type { SendOptions } from './messaging.ts'
export type { PendingMessage, Sending } from './outbox.ts'
export { createRest, type Rest } from './rest.ts'
export {
  CommandFailed,
  type KintsugiSocket,
  openSocket,
  type SocketAuth,
  type SocketCommand,
  type SocketEvents,
  type SocketInput,
  type SocketOptions,
  type SocketOutput,
} from './socket.ts'
export { type KeyValueStorage, memoryStorage } from './storage.ts'
export { createStore, type News, type Outcome, type SendInput, type Store } from './store.ts'
export { createTokens, type SignedOut, type TokenHolder } from './tokens.ts'
export type { UploadOptions } from './upload.ts'
