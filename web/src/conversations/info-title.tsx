import './find.css'
import { useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'

/** What a group or an AI chat is called, to be changed. */
export function InfoTitle({ conversation: { id, title: before = '' } }: { conversation: Conversation }) {
  const [title, setTitle] = useState(before)
  const isChanged = title.trim() !== '' && title !== before
  const save = () => client.command('conversation:update', { conversationId: id, title: title.trim() })
  return (
    <Form onSend={() => isChanged && attempt(save)}>
      <div class="conv-link-line">
        <Field label={t('conversations:title')} value={title} onValue={setTitle} maxLength={255} isRequired />
        <Button disabled={!isChanged} onPress={save}>
          {t('common:save')}
        </Button>
      </div>
    </Form>
  )
}
