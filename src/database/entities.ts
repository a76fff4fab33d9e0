import { DataExport, DataExportPart } from '../identity/data-export.entity.ts'
import { OneTimeCode } from '../identity/one-time-code.entity.ts'
import { RefreshToken } from '../identity/refresh-token.entity.ts'
import { User } from '../identity/user.entity.ts'
import { UserActivity } from '../identity/user-activity.entity.ts'
import { UserIdentity } from '../identity/user-identity.entity.ts'
import { UserPreferences } from '../identity/user-preferences.entity.ts'
import { Conversation } from '../messenger/conversation.entity.ts'
import { Message } from '../messenger/message.entity.ts'
import { Mention, MessageRevision, Reaction, ReadReceipt } from '../messenger/message-facts.entity.ts'
import { Participant } from '../messenger/participant.entity.ts'
import { MessageSearch, SearchPosition } from '../messenger/search.entity.ts'

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
  Conversation,
  Participant,
  Message,
  MessageRevision,
  Mention,
  Reaction,
  ReadReceipt,
  MessageSearch,
  SearchPosition,
]
