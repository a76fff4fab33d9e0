import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { client, enter } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem } from '../ui/problem.tsx'
import { useSending } from './sending.ts'

/** For who has an account. */
export function SignInForm({ onForgot }: { onForgot(): void }) {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const { isBusy, problem, send } = useSending()
  // usernames have no @
  const who = name.includes('@') ? { email: name.trim() } : { username: name.trim() }
  return (
    <Form label={t('signIn:signIn')} onSend={() => send(() => enter(client.login({ ...who, password })))}>
      <Field
        label={t('signIn:name')}
        name="username"
        autocomplete="username"
        value={name}
        onValue={setName}
        maxLength={254}
        isRequired
      />
      <Field
        label={t('signIn:password')}
        type="password"
        name="password"
        autocomplete="current-password"
        value={password}
        onValue={setPassword}
        maxLength={200}
        isRequired
      />
      <Problem text={problem} />
      <Button kind="primary" type="submit" disabled={isBusy}>
        {t('signIn:signIn')}
      </Button>
      <button type="button" class="enter-link" onClick={onForgot}>
        {t('signIn:forgot')}
      </button>
    </Form>
  )
}
