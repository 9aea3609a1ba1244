// Keeps the id of this browser in a cookie, which comes back with the next connection. Of two tabs that were opened at
// the same moment the first has set it: the second is told the id that was kept.
export default ({ data, setStateValue }) => {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${data.cookie}=`));
  const kept = found?.slice(data.cookie.length + 1);
  if (kept && kept !== data.id) {
    setStateValue("kept", kept);
    return;
  }
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${data.cookie}=${data.id}; Path=/; Max-Age=${data.seconds}; SameSite=Strict${secure}`;
};
