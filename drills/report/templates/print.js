addEventListener("beforeprint",()=>{for(const it of document.querySelectorAll("details"))it.open=true})
