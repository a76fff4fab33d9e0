import { Migration } from '@mikro-orm/migrations'
import { appendMessages } from './functions/append-messages.ts'
import { appendMessage, appendPlainMessages } from './functions/append-plain-messages.ts'

/**
 * What a message costs: the tables that every message writes have their enumerations as domains and no foreign keys on
 * the rows that are written with each message. docs/decisions.md says why.
 */
export class Migration20261122000000_send_path extends Migration {
  override up(): void {
    for (const statement of statements) this.addSql(statement)
  }
}

/** A check constraint is read and planned anew by each statement that writes its table; a domain's once a session. */
const enumeration = (table: string, column: string, name: string, values: string[]) => [
  `create domain ${name} as text constraint ${name}_check check (value in (${values.map((v) => `'${v}'`).join(', ')}))`,
  `alter table ${table} drop constraint ${table}_${column}_check, alter column ${column} type ${name}`,
]

const statements = [
  ...enumeration('messages', 'role', 'message_role', ['user', 'assistant', 'system']),
  ...enumeration('messages', 'type', 'message_type', ['text', 'image', 'video', 'audio', 'file', 'system']),
  ...enumeration('messages', 'status', 'message_status', ['sent', 'streaming', 'failed', 'cancelled']),
  ...enumeration('conversations', 'type', 'conversation_type', ['direct', 'group', 'assistant']),
  ...enumeration('participants', 'role', 'participant_role', ['owner', 'admin', 'member']),
  // opaque to us: compared byte by byte, not by the rules of a language
  'alter table messages alter column client_id type text collate "C"',

  `alter table messages drop constraint messages_conversation_id_foreign, drop constraint messages_sender_id_foreign`,
  `alter table read_receipts drop constraint read_receipts_conversation_id_foreign,
    drop constraint read_receipts_user_id_foreign`,
  `create function forget_conversations() returns trigger language plpgsql as $$
  begin
    delete from messages m using gone where m.conversation_id = gone.id;
    delete from read_receipts r using gone where r.conversation_id = gone.id;
    return null;
  end $$`,
  `create trigger conversations_forgotten after delete on conversations referencing old table as gone
    for each statement execute function forget_conversations()`,
  `create function forget_users() returns trigger language plpgsql as $$
  begin
    update messages m set sender_id = null from gone where m.sender_id = gone.id;
    delete from read_receipts r using gone where r.user_id = gone.id;
    return null;
  end $$`,
  `create trigger users_forgotten after delete on users referencing old table as gone
    for each statement execute function forget_users()`,

  appendMessages,
  appendMessage,
  appendPlainMessages,
]
