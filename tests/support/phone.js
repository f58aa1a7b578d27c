// Teams on a phone, to the page: the app shows the tab without a frame, and teams-js talks to `window.nativeInterface`.
// Runs before the page's own scripts. SETTINGS is put in front: {person, tenantId, locale, theme, page, token}.
(() => {
  const runtime = JSON.stringify({
    apiVersion: 4,
    hostVersionsInfo: {},
    isLegacyTeams: false,
    supports: { pages: { tabs: {}, config: {} }, dialog: { card: {}, url: {} } },
  });
  const context = {
    locale: SETTINGS.locale,
    theme: SETTINGS.theme,
    tid: SETTINGS.tenantId,
    userObjectId: SETTINGS.person,
    hostName: "Teams",
    hostClientType: "android",
    frameContext: "content",
    page: { id: "home", frameContext: "content", subPageId: SETTINGS.page },
    entityId: "home",
    subEntityId: SETTINGS.page,
  };
  const answers = {
    initialize: () => ["content", "android", runtime, "2.0.0"],
    getContext: () => [context],
    "authentication.getAuthToken": () => [true, SETTINGS.token],
  };
  window.nativeInterface = {
    framelessPostMessage(text) {
      const { id, uuid, uuidAsString, func, args } = JSON.parse(text);
      const answer = answers[func];
      if (answer === undefined) return;
      setTimeout(() => window.onNativeMessage({ data: { id, uuid, uuidAsString, args: answer(args) } }));
    },
  };
})();
