import { RefreshToken } from '../identity/refresh-token.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Conversation } from '../messenger/conversation.entity.ts'
import { Message } from '../messenger/message.entity.ts'
import { Mention, MessageRevision, Reaction, ReadReceipt } from '../messenger/message-facts.entity.ts'
import { Participant } from '../messenger/participant.entity.ts'
import { MessageSearch, SearchPosition } from '../messenger/search.entity.ts'

/** Every table of the schema, in the order of the features. */
export const entities = [
  User,
  RefreshToken,
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
