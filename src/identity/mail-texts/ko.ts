import type { MailTexts } from './en.ts'

/** Korean. */
export const ko: MailTexts = {
  verifyEmail: ({ code, minutes, site }) => ({
    subject: '이메일 주소를 인증해 주세요',
    text: [
      '안녕하세요.',
      `${site} 계정의 이메일 주소를 인증하는 코드입니다.`,
      code,
      `이 코드는 ${minutes}분 동안 유효합니다. 가입하신 적이 없다면 이 메일을 무시하셔도 됩니다.`,
    ],
  }),

  changeEmail: ({ code, minutes, site }) => ({
    subject: '새 이메일 주소를 인증해 주세요',
    text: [
      '안녕하세요.',
      `${site} 계정의 이메일을 이 주소로 변경하기 위한 인증 코드입니다.`,
      code,
      `이 코드는 ${minutes}분 동안 유효합니다. 직접 요청하지 않으셨다면 이 메일을 무시하셔도 됩니다.`,
    ],
  }),

  resetPassword: ({ link, minutes, site }) => ({
    subject: '비밀번호를 재설정해 주세요',
    text: [
      '안녕하세요.',
      `아래 링크에서 ${site} 계정의 새 비밀번호를 설정하실 수 있습니다.`,
      link,
      `이 링크는 ${minutes}분 동안 한 번만 사용하실 수 있습니다. 직접 요청하지 않으셨다면 이 메일을 무시하셔도 됩니다. 비밀번호는 그대로 유지됩니다.`,
    ],
  }),

  emailChanged: ({ site }) => ({
    subject: '이메일 주소가 변경되었습니다',
    text: [
      '안녕하세요.',
      `${site} 계정의 이메일 주소가 변경되었습니다. 이 주소는 더 이상 해당 계정과 연결되어 있지 않습니다.`,
      '직접 변경하지 않으셨다면 서비스 운영자에게 바로 알려 주세요.',
    ],
  }),

  passwordChanged: ({ site }) => ({
    subject: '비밀번호가 변경되었습니다',
    text: [
      '안녕하세요.',
      `${site} 계정의 비밀번호가 변경되었으며, 다른 기기에서는 로그아웃되었습니다.`,
      '직접 변경하지 않으셨다면 바로 “비밀번호 찾기”로 새 비밀번호를 설정해 주세요.',
    ],
  }),

  identityLinked: ({ provider, site }) => ({
    subject: `${provider} 계정이 연결되었습니다`,
    text: [
      '안녕하세요.',
      `이제 ${provider} 계정으로 ${site} 계정에 로그인할 수 있습니다.`,
      `직접 연결하지 않으셨다면 바로 “비밀번호 찾기”로 새 비밀번호를 설정한 뒤 로그인하여 ${provider} 연결을 해제해 주세요.`,
    ],
  }),

  identityUnlinked: ({ provider, site }) => ({
    subject: `${provider} 계정 연결이 해제되었습니다`,
    text: [
      '안녕하세요.',
      `이제 ${provider} 계정으로는 ${site} 계정에 로그인할 수 없습니다.`,
      '인증하지 않은 이메일 주소로 비밀번호를 재설정한 경우에도 연결이 해제되며, 이후 다시 연결하실 수 있습니다.',
      '직접 하신 일이 아니라면 바로 “비밀번호 찾기”로 새 비밀번호를 설정해 주세요.',
    ],
  }),
}
