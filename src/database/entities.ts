import { Agent, AgentKey } from '../agents/agent.entity.ts'
import { AgentRun } from '../agents/agent-run.entity.ts'
import { CreditHold, CreditTransaction, IdempotencyKey } from '../billing/ledger.entity.ts'
import { MeterReservation } from '../billing/meter.entity.ts'
import { Payment, ProviderEvent } from '../billing/payment.entity.ts'
import { AiModel, Plan, PricingTier } from '../billing/plan.entity.ts'
import { PartnerApplication, ReferralAccount, ReferralEarning, WithdrawalRequest } from '../billing/referral.entity.ts'
import { Subscription, SubscriptionHistory } from '../billing/subscription.entity.ts'
import { UsageLog, UsageLogMonthlyAggregate } from '../billing/usage.entity.ts'
import { Wallet } from '../billing/wallet.entity.ts'
import { Block } from '../identity/block.entity.ts'
import { DataExport, DataExportPart } from '../identity/data-export.entity.ts'
import { OneTimeCode } from '../identity/one-time-code.entity.ts'
import { RefreshToken } from '../identity/refresh-token.entity.ts'
import { User } from '../identity/user.entity.ts'
import { UserActivity } from '../identity/user-activity.entity.ts'
import { UserIdentity } from '../identity/user-identity.entity.ts'
import { UserPreferences } from '../identity/user-preferences.entity.ts'
import { Attachment, MediaObject, MediaUsage } from '../media/attachment.entity.ts'
import { Conversation } from '../messenger/conversation.entity.ts'
import { Message } from '../messenger/message.entity.ts'
import {
  Mention,
  MessageAttachment,
  MessageRevision,
  MessageTrigger,
  Reaction,
  ReadReceipt,
} from '../messenger/message-facts.entity.ts'
import { Participant } from '../messenger/participant.entity.ts'
import { MessageSearch, SearchPosition } from '../messenger/search.entity.ts'
import { Story, StoryView } from '../stories/story.entity.ts'

/** Every table of the schema, in the order of the features. */
export const entities = [
  User,
  RefreshToken,
  UserIdentity,
  OneTimeCode,
  UserPreferences,
  UserActivity,
  DataExport,
  DataExportPart,
  Block,
  Plan,
  PricingTier,
  AiModel,
  Wallet,
  UsageLog,
  CreditTransaction,
  CreditHold,
  MeterReservation,
  IdempotencyKey,
  Subscription,
  SubscriptionHistory,
  Payment,
  ProviderEvent,
  UsageLogMonthlyAggregate,
  ReferralAccount,
  ReferralEarning,
  WithdrawalRequest,
  PartnerApplication,
  MediaObject,
  Attachment,
  MediaUsage,
  Conversation,
  Participant,
  Message,
  MessageAttachment,
  MessageRevision,
  Mention,
  Reaction,
  ReadReceipt,
  MessageSearch,
  SearchPosition,
  MessageTrigger,
  Story,
  StoryView,
  Agent,
  AgentKey,
  AgentRun,
]
