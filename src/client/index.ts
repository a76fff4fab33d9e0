/** The typed client of Kintsugi, for browsers and Node. `createClient` is all of it; the rest are its parts. */

export type {
  Agent as AgentProfile,
  AgentKey,
  Model,
  RunCommand,
  RunInput,
  RunOutput,
} from '../agents/agents.contract.ts'
export type {
  Credits,
  CreditTransaction,
  Money,
  MonthlyUsage,
  Plan,
  StaffPlan,
  UsageItem,
  UsageReport,
  Wallet,
} from '../billing/billing.contract.ts'
export type { Checkout, Pack, Payment, StaffPayment } from '../billing/payments.contract.ts'
export type { PartnerApplication, ReferralEarning, Referrals, Withdrawal } from '../billing/referrals.contract.ts'
export type { Subscription, SubscriptionChange, SubscriptionCheckout } from '../billing/subscriptions.contract.ts'
export type { Block } from '../identity/blocks.contract.ts'
export type { IdentityEvent, Job } from '../identity/events.contract.ts'
export type { Identity, LoginWays } from '../identity/external-logins.contract.ts'
export type { Me, Session, Tokens, User } from '../identity/identity.contract.ts'
export type { ExportJob } from '../identity/own-data.contract.ts'
export type { Preferences } from '../identity/preferences.contract.ts'
export type { LoginSession } from '../identity/sessions.contract.ts'
export type { StaffUser } from '../identity/staff.contract.ts'
export type { CommandError, ErrorCode, FieldError } from '../kernel/errors.ts'
export type { Attachment, Storage } from '../media/media.contract.ts'
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
export type { Story, StoryEvent, StoryInput, StoryOutput, StoryRing, StoryView } from '../stories/stories.contract.ts'
export type { SessionReady } from '../transport/session.contract.ts'
export type { ReplyStream, StreamUsage } from './agent.stream.ts'
export { type Agent, type AgentOptions, createAgent, type Reply } from './agent.ts'
export { newClientId } from './client.id.ts'
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
